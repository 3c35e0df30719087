// A state in a word and a colour; the word is enough.
import type { Tone } from '../words';

export function StateBadge({ text, tone }: { text: string; tone: Tone }) {
  return (
    <span class={`badge tone-${tone}`}>
      <span class="dot" aria-hidden="true" />
      {text}
    </span>
  );
}
