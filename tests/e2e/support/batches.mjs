// The demo batch and the official client, as a submitter has them.
import { File } from 'node:buffer';
import { createReadStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';

globalThis.File ??= File; // Node 18 has it, but not as a global; the client asks for it in these words

const { FALLOW_ORIGIN, FALLOW_KEY, FALLOW_EXAMPLES } = process.env;
const FINAL = new Set(['completed', 'failed', 'expired', 'cancelled']);
const BATCH_LIMIT_MS = 300_000; // against hanging alone

export const batchFile = join(FALLOW_EXAMPLES, 'batch.jsonl');
const LONG_BATCH_REQUESTS = 20_000; // more than any machine finishes before a test has cancelled it

export function newClient(options = {}) {
  return new OpenAI({ baseURL: `${FALLOW_ORIGIN}/v1`, apiKey: FALLOW_KEY, ...options });
}

export function readLines(file) {
  return parseLines(readFileSync(file, 'utf8'));
}

export function parseLines(text) {
  return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
}

export function submit(client, file, metadata = {}) {
  return submitUpload(client, createReadStream(file), metadata);
}

// The demo batch again and again, under new ids.
export function submitLong(client, metadata = {}) {
  const requests = readLines(batchFile);
  const lines = Array.from({ length: LONG_BATCH_REQUESTS }, (_, index) =>
    JSON.stringify({ ...requests[index % requests.length], custom_id: `long-${index}` }));
  return submitUpload(client, new File([lines.join('\n')], 'long.jsonl'), metadata);
}

async function submitUpload(client, upload, metadata) {
  const input = await client.files.create({ file: upload, purpose: 'batch' });
  return client.batches.create({
    input_file_id: input.id, endpoint: '/v1/chat/completions', completion_window: '24h', metadata,
  });
}

// Polls until the batch has ended, whatever its end.
export async function awaitEnd(client, id) {
  const deadline = Date.now() + BATCH_LIMIT_MS;
  for (;;) {
    const batch = await client.batches.retrieve(id);
    if (FINAL.has(batch.status)) return batch;
    if (Date.now() > deadline) {
      throw new Error(`${id} is still ${batch.status} with ${JSON.stringify(batch.request_counts)}`);
    }
    await sleep(100);
  }
}
