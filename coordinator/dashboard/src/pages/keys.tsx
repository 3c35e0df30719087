// The API keys: who may submit, who may operate. A new key's secret is shown once.
import { useRef, useState } from 'preact/hooks';
import { messageOf } from '../api/client';
import type { Key, NewKey, Role } from '../api/types';
import { Command } from '../components/command';
import { ConfirmButton } from '../components/confirm_button';
import { Notice } from '../components/notice';
import { PageHead } from '../components/page_head';
import { formatTime } from '../format';
import { useMe, useServices } from '../state/context';
import { useKeptFocus, useLoaded } from '../state/hooks';

export function KeysPage() {
  const { api } = useServices();
  const keys = useLoaded(() => api.keys(), []);
  const live = keys.value?.data.filter((key) => !key.revoked_at) ?? [];
  return (
    <>
      <PageHead title="Keys" />
      {keys.error !== null && <Notice message={keys.error} onRetry={keys.reload} />}
      <CreateKey onCreated={keys.reload} />
      {live.length > 0 && <KeyTable keys={live} onRevoked={keys.reload} />}
    </>
  );
}

function KeyTable({ keys, onRevoked }: { keys: Key[]; onRevoked: () => void }) {
  const { api } = useServices();
  const me = useMe();
  const table = useRef<HTMLTableElement>(null);
  useKeptFocus(table, 'tbody tr');
  return (
    <table class="table cards" ref={table}>
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Role</th>
          <th scope="col">Account</th>
          <th scope="col">Begins with</th>
          <th scope="col" class="number">Created</th>
          <th scope="col"><span class="visually-hidden">Actions</span></th>
        </tr>
      </thead>
      <tbody>
        {keys.map((key) => (
          <tr key={key.id}>
            <th scope="row"><span class="row-title">{key.name || key.id}</span></th>
            <td data-label="Role">{key.role === 'operator' ? 'Operator' : 'Submitter'}</td>
            <td data-label="Account"><code>{key.account}</code></td>
            <td data-label="Begins with">{key.prefix ? <code>{key.prefix}…</code> : '–'}</td>
            <td data-label="Created" class="number">{formatTime(key.created_at)}</td>
            <td class="row-actions">
              {key.id === me.key_id
                ? <span class="muted">yours</span>
                : (
                  <ConfirmButton
                    small label="Revoke" accessibleLabel={`Revoke ${key.name || key.id}`}
                    question={`Revoke ${key.name || key.id}?`} confirm="Revoke it" keep="Keep it"
                    detail="Programs that use this key are refused from then on. This cannot be taken back."
                    act={async () => { await api.revokeKey(key.id); onRevoked(); }}
                  />
                )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function CreateKey({ onCreated }: { onCreated: () => void }) {
  const { api } = useServices();
  const name = useRef<HTMLInputElement>(null);
  const [role, setRole] = useState<Role>('submitter');
  const [created, setCreated] = useState<NewKey | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);

  const create = async (event: Event) => {
    event.preventDefault();
    if (busy) return; // a second key's secret would take the place of the first's, unseen
    setError(null);
    const wanted = name.current?.value.trim() ?? '';
    if (wanted === '') {
      setError('Give the key a name first, so that it can be told from the others.');
      name.current?.focus();
      return;
    }
    setBusy(true);
    try {
      setCreated(await api.createKey(wanted, role));
      if (name.current?.value.trim() === wanted) name.current.value = ''; // else the next name is being typed
      onCreated();
    } catch (problem) {
      setError(messageOf(problem));
    }
    setBusy(false);
  };

  return (
    <form class="panel key-form" onSubmit={(event) => void create(event)} noValidate>
      <label class="field">
        <span>Name of a new key</span>
        <input ref={name} type="text" maxLength={100} placeholder="nightly import" autocomplete="off" />
      </label>
      <label class="field">
        <span>Role</span>
        <select value={role} onChange={(event) => setRole(event.currentTarget.value as Role)}>
          <option value="submitter">Submitter: own jobs and files</option>
          <option value="operator">Operator: everything</option>
        </select>
      </label>
      <button type="submit" class="button button-primary" aria-disabled={busy}>Make a key</button>
      {error !== null && <Notice message={error} />}
      {created && (
        <div class="key-secret" role="status">
          <p>The key “{created.name}” is ready. Copy it now: it is not shown again.</p>
          <Command text={created.secret} />
        </div>
      )}
    </form>
  );
}
