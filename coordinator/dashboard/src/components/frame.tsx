// The frame around every page: skip link, header with navigation and account, main part, announcements.
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Route } from '../router';
import { useMe, useServices } from '../state/context';
import { useStore } from '../state/store';
import { AccountMenu } from './account_menu';
import { ConnectionBadge } from './connection_badge';
import { Link } from './link';
import { Mark } from './mark';
import { QuestionDialog } from './question';

const ENTRIES = [
  { page: 'jobs', path: '/', text: 'Jobs', operatorsOnly: false },
  { page: 'devices', path: '/devices', text: 'Devices', operatorsOnly: true },
  { page: 'models', path: '/models', text: 'Models', operatorsOnly: false },
  { page: 'keys', path: '/keys', text: 'Keys', operatorsOnly: true },
];

export function Frame({ route, children }: { route: Route; children: ComponentChildren }) {
  const me = useMe();
  const main = useRef<HTMLElement>(null);
  useEndOfQuestions(route);
  useFocusOnRoute(route, main);

  const section = route.page === 'job' ? 'jobs' : route.page;
  const entries = ENTRIES.filter((entry) => me.role === 'operator' || !entry.operatorsOnly);
  return (
    <>
      <a class="skip-link" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>
        Skip to the content
      </a>
      <header class="header">
        <div class="header-row">
          <Link to="/" class="brand" aria-label="Fallow, jobs">
            <Mark />
            <span>Fallow</span>
          </Link>
          <nav class="nav" aria-label="Pages">
            {entries.map((entry) => (
              <Link key={entry.page} to={entry.path} aria-current={entry.page === section ? 'page' : undefined}>
                {entry.text}
              </Link>
            ))}
          </nav>
          <div class="header-end">
            <ConnectionBadge />
            <AccountMenu />
          </div>
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>{children}</main>
      <Announcer />
      <QuestionDialog />
    </>
  );
}

// A new page starts at its top for the keyboard and for screen readers too. Done before it is painted: later it would
// take the focus from what the person has moved to since.
function useFocusOnRoute(route: Route, main: { current: HTMLElement | null }): void {
  const first = useRef(true);
  const key = JSON.stringify(route);
  useLayoutEffect(() => {
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [key]);
}

// A question belongs to the page it was asked on.
function useEndOfQuestions(route: Route): void {
  const { question } = useServices();
  const key = JSON.stringify(route);
  useLayoutEffect(() => () => question.set(null), [key]);
}

function Announcer() {
  const { announcement } = useServices();
  return <div class="visually-hidden" role="status" aria-live="polite">{useStore(announcement)}</div>;
}
