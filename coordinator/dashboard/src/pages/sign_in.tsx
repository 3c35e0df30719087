// The way in: an API key, typed or brought by a sign-in link.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Mark } from '../components/mark';
import { Notice } from '../components/notice';
import { useServices } from '../state/context';

export function SignInPage({ notice }: { notice: string | null }) {
  const { session } = useServices();
  const input = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState(notice);
  const [busy, setBusy] = useState(false);

  // Before it is painted: nothing that is typed at the sight of the field is lost.
  useLayoutEffect(() => {
    document.title = 'Sign in · Fallow';
    input.current?.focus();
  }, []);
  useLayoutEffect(() => setProblem(notice), [notice]);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    const key = input.current?.value ?? '';
    if (key.trim() === '') {
      setProblem('Type or paste an API key first.');
      input.current?.focus();
      return;
    }
    setBusy(true);
    const refused = await session.signIn(key);
    setBusy(false);
    if (refused === null) return; // the frame takes this page's place, or a notice says why it cannot
    setProblem(refused);
    input.current?.focus();
    input.current?.select();
  };

  return (
    <main class="sign-in">
      <form class="panel sign-in-panel" onSubmit={(event) => void submit(event)} noValidate>
        <div class="brand brand-large">
          <Mark />
          <h1>Fallow</h1>
        </div>
        <p class="muted">Sign in to see this coordinator's jobs and devices.</p>
        {problem !== null && <Notice message={problem} />}
        <label class="field">
          <span>API key</span>
          <input
            ref={input} type="password" name="key" autocomplete="current-password" placeholder="sk-fallow-…"
            spellcheck={false} autocapitalize="none" aria-invalid={problem !== null}
          />
        </label>
        <button type="submit" class="button button-primary" aria-disabled={busy}>{busy ? 'Signing in…' : 'Sign in'}</button>
        <p class="hint">
          On the coordinator's machine, <code>fallow-coordinator links</code> shows a link that signs in by itself.
          Everybody else gets a key from an operator, who makes it on the page “Keys”.
        </p>
      </form>
    </main>
  );
}
