// The models that jobs may name.
import type { Model } from '../api/types';
import { Command } from '../components/command';
import { EmptyState } from '../components/empty_state';
import { Notice } from '../components/notice';
import { PageHead } from '../components/page_head';
import { formatBytes, formatCount, formatParameters, formatTime } from '../format';
import { chatWords, memoryTable, purposeWords } from '../model_words';
import { useMe, useServices } from '../state/context';
import { useLoaded } from '../state/hooks';

export function ModelsPage() {
  const { api } = useServices();
  const operator = useMe().role === 'operator';
  const models = useLoaded(() => api.models(), []);
  const list = models.value?.data;
  return (
    <>
      <PageHead title="Models" />
      {models.error !== null && <Notice message={models.error} onRetry={models.reload} />}
      {!list && models.error === null && <p class="muted" aria-busy="true">Loading…</p>}
      {list?.length === 0 && (
        <EmptyState title="No models yet">
          <p>{operator ? 'Add a GGUF file:' : 'An operator adds a GGUF file with:'}</p>
          <Command text="fallow models add FILE.gguf" />
        </EmptyState>
      )}
      <div class="model-list">{list?.map((model) => <ModelCard key={model.id} model={model} />)}</div>
      {list && list.length > 0 && operator && (
        <details class="panel details">
          <summary>Add a model</summary>
          <Command text="fallow models add FILE.gguf" />
        </details>
      )}
    </>
  );
}

function ModelCard({ model }: { model: Model }) {
  const card = model.card ?? {}; // none: of a coordinator that kept less
  const facts: [string, string | undefined][] = [
    ['Parameters', card.parameter_count === undefined ? undefined : formatParameters(card.parameter_count)],
    ['Context', card.context_length === undefined ? undefined : `${formatCount(card.context_length)} tokens`],
    ['Layers', card.layer_count === undefined ? undefined : `${formatCount(card.layer_count)} of width ${formatCount(card.embedding_length ?? 0)}`],
    ['Vocabulary', card.vocabulary_size === undefined ? undefined : `${formatCount(card.vocabulary_size)} tokens`],
    ['Use', purposeWords(card)],
    ['Chat template', chatWords(card)],
    ['Tokenizer', card.tokenizer],
    ['Tensors', card.weight_types],
    ['Licence', card.license],
    ['File', formatBytes(model.size_bytes)],
    ['Added', formatTime(model.created_at)],
  ];
  return (
    <article class="panel model">
      <h2>{model.id}</h2>
      <p class="muted">{[card.name, card.architecture].filter((word) => word && word !== model.id).join(' · ')}</p>
      <dl class="pairs pairs-tight">
        {facts.map(([name, value]) => value && <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
        <div class="pair-wide"><dt>SHA-256</dt><dd><code class="digest">{model.digest}</code></dd></div>
      </dl>
      <Memory model={model} />
    </article>
  );
}

// What a device must have: the weights, and the caches of as many sequences as it computes at once.
function Memory({ model }: { model: Model }) {
  const { tokens, rows } = memoryTable(model.card?.memory ?? []);
  if (rows.length === 0) return null;
  return (
    <table class="table memory">
      <caption>Memory on a device, by the number and length of its sequences</caption>
      <thead>
        <tr>
          <th scope="col">Sequences</th>
          {tokens.map((length) => <th key={length} scope="col" class="number">{formatCount(length)} tokens</th>)}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ sequences, bytes }) => (
          <tr key={sequences}>
            <th scope="row">{formatCount(sequences)}</th>
            {bytes.map((value, i) => <td key={tokens[i]} class="number">{value === undefined ? '' : formatBytes(value)}</td>)}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
