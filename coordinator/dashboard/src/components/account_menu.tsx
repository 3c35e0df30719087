// Who is signed in, and the way out.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useMe, useServices } from '../state/context';

export function AccountMenu() {
  const me = useMe();
  const { session } = useServices();
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  // Before the menu is painted: it hears the first key that follows the sight of it.
  useLayoutEffect(() => {
    if (!open) return;
    const onPointer = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Escape') return;
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener('pointerdown', onPointer);
    document.addEventListener('keydown', onKey);
    return () => {
      document.removeEventListener('pointerdown', onPointer);
      document.removeEventListener('keydown', onKey);
    };
  }, [open]);

  const name = me.name || me.account;
  return (
    <div class="account" ref={root}>
      <button
        type="button" ref={button} class="account-button" aria-expanded={open} aria-controls="account-menu"
        aria-label={`Account: ${name}`} onClick={() => setOpen((was) => !was)}
      >
        <span class="avatar" aria-hidden="true">{name.slice(0, 1).toUpperCase()}</span>
      </button>
      {open && (
        <div id="account-menu" class="menu">
          <p class="menu-name">{name}</p>
          <p class="menu-detail">{me.role === 'operator' ? 'Operator' : 'Submitter'} · account {me.account}</p>
          <p class="menu-detail">Fallow {me.coordinator_version}</p>
          <button type="button" class="button" onClick={() => void session.signOut()}>Sign out</button>
        </div>
      )}
    </div>
  );
}
