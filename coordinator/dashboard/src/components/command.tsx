// A command to type, with a button that copies it.
import { useEffect, useState } from 'preact/hooks';

const COPIED_SHOWN_MS = 2000;

export function Command({ text }: { text: string }) {
  const [copied, setCopied] = useState<string | null>(null); // what was, which may not be the text shown since
  useEffect(() => {
    if (copied === null) return;
    const timer = setTimeout(() => setCopied(null), COPIED_SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = () => navigator.clipboard.writeText(text).then(() => setCopied(text), () => setCopied(null));
  return (
    <div class="command">
      <code tabIndex={0}>{text}</code>
      <button type="button" class="button button-small" onClick={() => void copy()}>
        <span aria-live="polite">{copied === text ? 'Copied' : 'Copy'}</span>
      </button>
    </div>
  );
}
