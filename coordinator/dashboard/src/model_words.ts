// A model's card in words and tables. A card may be of an older coordinator, which knew fewer fields: what it does not say
// is undefined, and left out.
import type { MemoryRow, ModelCard } from './api/types';
import { formatCount } from './format';

const POOLINGS: Record<string, string> = { mean: 'mean', cls: 'first token', last: 'last token' };

// "generates text", "embeds texts: 384 values, mean pooling".
export function purposeWords({ pooling, embedding_length }: ModelCard): string | undefined {
  if (pooling === undefined) return undefined;
  if (pooling === 'none') return 'generates text';
  const values = embedding_length === undefined ? '' : `${formatCount(embedding_length)} values, `;
  return `embeds texts: ${values}${POOLINGS[pooling] ?? pooling} pooling`;
}

// Of a model that only embeds, nobody asks.
export function chatWords({ chat, pooling }: ModelCard): string | undefined {
  if (chat === undefined || (pooling !== undefined && pooling !== 'none')) return undefined;
  return chat ? 'yes' : 'none';
}

// A row for each number of sequences, a column for each length; a figure that is not there is undefined.
export function memoryTable(memory: MemoryRow[]): { tokens: number[]; rows: { sequences: number; bytes: (number | undefined)[] }[] } {
  const sorted = (values: number[]) => [...new Set(values)].sort((a, b) => a - b);
  const tokens = sorted(memory.map((row) => row.tokens));
  const rows = sorted(memory.map((row) => row.sequences)).map((sequences) => ({
    sequences,
    bytes: tokens.map((length) => memory.find((row) => row.sequences === sequences && row.tokens === length)?.bytes),
  }));
  return { tokens, rows };
}
