// Embeddings batches: the unmodified official client and `fallow submit` against a live coordinator and agent, with a
// small model of random weights.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { toFile } from 'openai';
import { awaitEnd, newClient, parseLines, readLines } from './support/batches.mjs';

const { FALLOW_BIN, FALLOW_CA, FALLOW_EMBEDDING_EXAMPLE, FALLOW_KEY, FALLOW_ORIGIN, FALLOW_SIGN_IN_LINK } = process.env;
const MODEL = 'tiny-bert';
const client = newClient();

test('each input gets a vector of length 1, in the order of the input and in the form that was asked', async () => {
  const batch = await run([
    line('text', { input: 'the same text' }),
    line('base64', { input: 'the same text', encoding_format: 'base64' }),
    line('list', { input: ['another', 'the same text'] }),
    line('ids', { input: [[2, 5, 6, 3], [2, 7, 3]] }),
  ]);
  assert.equal(batch.status, 'completed', JSON.stringify(batch.errors));
  assert.equal(batch.endpoint, '/v1/embeddings');
  assert.deepEqual({ ...batch.request_counts }, { total: 4, completed: 4, failed: 0 });
  assert.equal(batch.usage.output_tokens, 0);

  const output = await outputOf(batch);
  assert.deepEqual(output.map(({ custom_id }) => custom_id), ['text', 'base64', 'list', 'ids']);
  let tokens = 0;
  for (const { response, error } of output) {
    assert.equal(error, null);
    assert.equal(response.status_code, 200);
    const { object, data, model, usage } = response.body;
    assert.deepEqual([object, model], ['list', MODEL]);
    data.forEach(({ object: kind, index }, place) => assert.deepEqual([kind, index], ['embedding', place]));
    assert.equal(usage.total_tokens, usage.prompt_tokens);
    tokens += usage.prompt_tokens;
  }
  assert.equal(batch.usage.input_tokens, tokens);

  const [text, base64, list, ids] = output.map(vectorsOf);
  assert.deepEqual([text, base64, list, ids].map((vectors) => vectors.length), [1, 1, 2, 2]);
  for (const vector of [...text, ...base64, ...list, ...ids]) {
    assert.equal(vector.length, text[0].length);
    assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-5, `a vector has the length ${Math.hypot(...vector)}`);
  }
  assert.deepEqual(base64[0], text[0]);
  assert.deepEqual(list[1], text[0]);
  assert.notDeepEqual(list[0], text[0]);
});

test('two runs of a batch have the same bytes', async () => {
  const lines = Array.from({ length: 200 }, (_, index) => line(`r${index}`, { input: `text number ${index}` }));
  const outputs = [];
  for (const name of ['first', 'second']) {
    const batch = await run(lines, { name });
    assert.equal(batch.request_counts.completed, lines.length);
    outputs.push(await (await client.files.content(batch.output_file_id)).text());
  }
  assert.equal(outputs[0], outputs[1]);
});

test('an input that is too long fails alone', async () => {
  const batch = await run([
    line('short', { input: 'short' }),
    line('long', { input: ['short', 'e '.repeat(20_000)] }),
    line('unknown token', { input: [2, 1_000_000, 3] }),
  ]);
  assert.equal(batch.status, 'completed');
  assert.deepEqual({ ...batch.request_counts }, { total: 3, completed: 1, failed: 2 });
  const errors = parseLines(await (await client.files.content(batch.error_file_id)).text());
  assert.deepEqual(errors.map(({ custom_id }) => custom_id), ['long', 'unknown token']);
  for (const { response } of errors) assert.equal(response.status_code, 400);
  assert.match(errors[0].response.body.error.message, /input 1 .*tokens/);
});

test('a model is refused for what it is not made for, at its first line', async () => {
  const cases = [
    ['/v1/embeddings', { model: 'field-normalizer', input: 'x' }, /field-normalizer.*generates/],
    ['/v1/chat/completions', { model: MODEL, messages: [{ role: 'user', content: 'x' }] }, /tiny-bert.*vectors/],
  ];
  for (const [endpoint, body, words] of cases) {
    const batch = await runLines([JSON.stringify({ custom_id: 'a', method: 'POST', url: endpoint, body })], endpoint);
    assert.equal(batch.status, 'failed');
    const [error] = batch.errors.data;
    assert.deepEqual([error.code, error.line, error.param], ['wrong_endpoint', 1, 'body.model']);
    assert.match(error.message, words);
  }
});

test('lines that ask for what is not there are named', async () => {
  const batch = await run([
    line('a', { input: '' }),
    line('b', { input: 'x', dimensions: 7 }),
    line('c', { input: 'x', temperature: 0 }),
  ]);
  assert.equal(batch.status, 'failed');
  assert.deepEqual(batch.errors.data.map(({ line: number, param }) => [number, param]),
    [[1, 'body.input'], [2, 'body.dimensions'], [3, 'body.temperature']]);
});

test('`fallow submit` takes the example as it is and fetches its vectors', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fallow-embeddings-'));
  try {
    const output = join(folder, 'vectors.jsonl');
    const said = await fallow(['submit', FALLOW_EMBEDDING_EXAMPLE, '--model', MODEL, '-o', output], folder);
    assert.match(said, /8 of 8 done, 0 failed; \d+ tokens read; /);
    const asked = readLines(FALLOW_EMBEDDING_EXAMPLE);
    const answered = readLines(output);
    assert.deepEqual(answered.map(({ custom_id }) => custom_id), asked.map(({ custom_id }) => custom_id));
    const byId = new Map(answered.map((answer) => [answer.custom_id, vectorsOf(answer)]));
    assert.deepEqual(byId.get('as-base64'), byId.get('as-floats'));
    assert.equal(byId.get('letters').length, 8);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

const chromium = process.env.FALLOW_CHROMIUM ?? '/usr/bin/chromium';
test('the page shows inputs and the head of their vectors', {
  skip: existsSync(chromium) ? false : 'Chromium is not installed',
}, async () => {
  const batch = await run([line('a', { input: ['one text', 'and another'] })]);
  const [vectors] = (await outputOf(batch)).map(vectorsOf);
  const { openPage } = await import('./support/browser.mjs');
  const page = await openPage();
  try {
    await page.goto(FALLOW_SIGN_IN_LINK);
    await page.getByRole('navigation', { name: 'Pages' }).waitFor();
    await page.goto(`${FALLOW_ORIGIN}/jobs/${batch.id}`);
    await page.getByText(`2 vectors of ${vectors[0].length} values`).waitFor();
    await page.locator('.request-row').first().click();
    const panel = page.locator('.request-panel');
    assert.match(await panel.getByRole('region', { name: 'Input' }).innerText(), /one text[\s\S]*and another/);
    const answer = await panel.getByRole('region', { name: 'Answer' }).innerText();
    assert.match(answer, /norm 1\.0000/);
    assert.ok(answer.includes(vectors[1][0].toFixed(6)), answer);
    assert.deepEqual(page.problems, []);
  } finally {
    await page.end();
  }
});

function line(customId, body) {
  return JSON.stringify({ custom_id: customId, method: 'POST', url: '/v1/embeddings', body: { model: MODEL, ...body } });
}

function run(lines, metadata = {}) {
  return runLines(lines, '/v1/embeddings', metadata);
}

async function runLines(lines, endpoint, metadata = {}) {
  const file = await client.files.create({ file: await toFile(Buffer.from(`${lines.join('\n')}\n`), 'lines.jsonl'), purpose: 'batch' });
  const created = await client.batches.create({ input_file_id: file.id, endpoint, completion_window: '24h', metadata });
  return awaitEnd(client, created.id);
}

async function outputOf(batch) {
  return parseLines(await (await client.files.content(batch.output_file_id)).text());
}

// The vectors of an output line as fp32 values, however they are written.
function vectorsOf({ response }) {
  return response.body.data.map(({ embedding }) => {
    if (typeof embedding !== 'string') return embedding.map(Math.fround);
    const bytes = Buffer.from(embedding, 'base64');
    return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(4 * index));
  });
}

// Runs the command and returns what it said to people; a status other than 0 is an error.
function fallow(args, home) {
  const child = spawn(join(FALLOW_BIN, 'fallow'), args, {
    env: {
      ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home,
      FALLOW_URL: FALLOW_ORIGIN, FALLOW_API_KEY: FALLOW_KEY, FALLOW_CA,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (piece) => { said += piece; });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve(said) : reject(new Error(`fallow ended with ${code}: ${said}`))));
  });
}
