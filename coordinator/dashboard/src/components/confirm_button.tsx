// A button for what cannot be undone: it asks first, in a dialog that Esc closes.
import { useRef, useState } from 'preact/hooks';
import { messageOf } from '../api/client';
import { Notice } from './notice';

interface ConfirmButtonProps {
  label: string;
  accessibleLabel?: string;
  question: string;
  detail: string;
  confirm: string;
  keep: string;
  small?: boolean;
  act: () => Promise<unknown>;
}

export function ConfirmButton(props: ConfirmButtonProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);

  const act = async () => {
    setBusy(true);
    setError(null);
    try {
      await props.act();
      dialog.current?.close();
    } catch (problem) {
      setError(messageOf(problem));
    }
    setBusy(false);
  };

  return (
    <>
      <button
        type="button" class={`button ${props.small ? 'button-small' : ''}`} aria-label={props.accessibleLabel}
        aria-haspopup="dialog" onClick={() => { setError(null); dialog.current?.showModal(); }}
      >
        {props.label}
      </button>
      <dialog ref={dialog} class="dialog" aria-label={props.question}>
        <h2>{props.question}</h2>
        <p>{props.detail}</p>
        {error !== null && <Notice message={error} />}
        <div class="dialog-actions">
          <button type="button" class="button" onClick={() => dialog.current?.close()}>{props.keep}</button>
          <button type="button" class="button button-danger" disabled={busy} onClick={() => void act()}>
            {props.confirm}
          </button>
        </div>
      </dialog>
    </>
  );
}
