// A question before what cannot be undone, in a dialog that Esc closes. It stands in the frame and not where it was
// asked: what a live change moves, filters out or ends there does not close it.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { messageOf } from '../api/client';
import { useServices } from '../state/context';
import { useStore } from '../state/store';
import { Notice } from './notice';

export interface Question {
  question: string;
  detail: string;
  confirm: string;
  keep: string;
  act: () => Promise<unknown>;
}

export function QuestionDialog() {
  const { question } = useServices();
  const asked = useStore(question);
  return asked && <Dialog asked={asked} onEnd={() => question.get() === asked && question.set(null)} />;
}

function Dialog({ asked, onEnd }: { asked: Question; onEnd: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);

  // Before it is painted: it hears the first key that follows the sight of it. Closing gives the focus back to where it
  // was, if that is still there.
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => {
      shown?.close();
      const at = document.activeElement;
      if (at === document.body || shown?.contains(at)) document.getElementById('main')?.focus({ preventScroll: true });
    };
  }, []);

  const act = async () => {
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      await asked.act();
      onEnd();
    } catch (problem) {
      setError(messageOf(problem));
    }
    setBusy(false);
  };

  return (
    <dialog ref={dialog} class="dialog" aria-label={asked.question} onClose={onEnd}>
      <h2>{asked.question}</h2>
      <p>{asked.detail}</p>
      {error !== null && <Notice message={error} />}
      <div class="dialog-actions">
        <button type="button" class="button" onClick={onEnd}>{asked.keep}</button>
        <button type="button" class="button button-danger" aria-disabled={busy} onClick={() => void act()}>
          {asked.confirm}
        </button>
      </div>
    </dialog>
  );
}
