// What an embedding request asked and got: its inputs, and the head of their vectors.
import type { EmbeddingsPreview } from '../api/types';
import { countOf, formatCount } from '../format';

const INPUTS_SHOWN = 8; // as many as there are vectors in the preview

export function EmbeddingInputs({ inputs }: { inputs: string[] }) {
  const more = inputs.length - INPUTS_SHOWN;
  return (
    <>
      {inputs.slice(0, INPUTS_SHOWN).map((input, index) => (
        <div key={index} class="message message-input">
          <p class="message-role">input {formatCount(index)}</p>
          <pre class="message-text" tabIndex={input.length > 600 ? 0 : undefined}>{input}</pre>
        </div>
      ))}
      {more > 0 && <p class="muted">and {countOf(more, 'more input')}</p>}
    </>
  );
}

export function EmbeddingVectors({ vectors }: { vectors: EmbeddingsPreview }) {
  const more = vectors.vector_count - vectors.data.length;
  return (
    <>
      {vectors.data.map(({ index, norm, first_values }) => (
        <div key={index} class="message message-answer">
          <p class="message-role">
            vector {formatCount(index)} · {countOf(vectors.vector_length, 'value')} · norm {norm.toFixed(4)}
          </p>
          <pre class="message-text">
            {first_values.map((value) => value.toFixed(6)).join('  ')}
            {vectors.vector_length > first_values.length && '  …'}
          </pre>
        </div>
      ))}
      {more > 0 && <p class="muted">and {countOf(more, 'more vector')}; all are in the output file</p>}
    </>
  );
}
