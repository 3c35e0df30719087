// The unmodified official client against a live coordinator and agent.
import assert from 'node:assert/strict';
import { createReadStream, readFileSync } from 'node:fs';
import { test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { awaitEnd, batchFile, newClient, parseLines, readLines, submit, submitLong } from './support/batches.mjs';

const client = newClient();
const demo = readFileSync(batchFile);

test('a file uploaded as a stream is the file', async () => {
  const file = await client.files.create({ file: createReadStream(batchFile), purpose: 'batch' });
  assert.match(file.id, /^file-/);
  assert.equal(file.object, 'file');
  assert.equal(file.bytes, demo.length);
  assert.equal(file.filename, 'batch.jsonl');
  assert.equal(file.purpose, 'batch');
  assert.deepEqual(Buffer.from(await (await client.files.content(file.id)).arrayBuffer()), demo);
});

test('a file uploaded from memory can be listed, looked at and deleted', async () => {
  const file = await client.files.create({ file: await toFile(demo, 'from-memory.jsonl'), purpose: 'batch' });
  assert.equal((await client.files.retrieve(file.id)).filename, 'from-memory.jsonl');
  assert.ok((await client.files.list()).data.some((listed) => listed.id === file.id));
  assert.deepEqual(await client.files.delete(file.id), { id: file.id, object: 'file', deleted: true });
  await assert.rejects(client.files.retrieve(file.id), OpenAI.NotFoundError);
});

test('a batch runs to its end, and every request has its answer in the order of the input', async () => {
  const created = await submit(client, batchFile, { name: 'client test' });
  assert.equal(created.object, 'batch');
  assert.equal(created.endpoint, '/v1/chat/completions');
  assert.deepEqual({ ...created.metadata }, { name: 'client test' });

  const batch = await awaitEnd(client, created.id);
  assert.equal(batch.status, 'completed', JSON.stringify(batch.errors));
  const input = readLines(batchFile);
  assert.deepEqual({ ...batch.request_counts }, { total: input.length, completed: input.length, failed: 0 });

  const output = parseLines(await (await client.files.content(batch.output_file_id)).text());
  assert.deepEqual(output.map((line) => line.custom_id), input.map((line) => line.custom_id));
  for (const { response, error } of output) {
    assert.equal(error, null);
    assert.equal(response.status_code, 200);
    const [choice] = response.body.choices;
    assert.equal(choice.message.role, 'assistant');
    assert.match(choice.finish_reason, /^(stop|length)$/);
    const { usage } = response.body;
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    assert.ok(usage.completion_tokens > 0);
  }
});

test('lists are paged by the client itself', async () => {
  const ids = new Set();
  for (let i = 0; i < 3; i += 1) ids.add((await submit(client, batchFile, { name: `page ${i}` })).id);
  const listed = [];
  for await (const batch of client.batches.list({ limit: 2 })) listed.push(batch.id);
  assert.equal(new Set(listed).size, listed.length, 'no batch is listed twice');
  for (const id of ids) assert.ok(listed.includes(id), `${id} is listed`);

  const files = [];
  for await (const file of client.files.list({ limit: 2, purpose: 'batch' })) files.push(file.id);
  assert.ok(files.length >= 3);
  assert.equal(new Set(files).size, files.length, 'no file is listed twice');
  for (const id of ids) await client.batches.cancel(id).catch(ignoreEnded);
  for (const id of ids) await awaitEnd(client, id);
});

test('a cancelled batch stops, keeps what is done and runs nothing more', async () => {
  const created = await submitLong(client, { name: 'to be cancelled' });
  const cancelling = await client.batches.cancel(created.id);
  assert.match(cancelling.status, /^cancell(ing|ed)$/);
  const batch = await awaitEnd(client, created.id);
  assert.equal(batch.status, 'cancelled');
  assert.ok(batch.request_counts.completed < batch.request_counts.total || batch.request_counts.total === 0);
  const done = batch.output_file_id ? parseLines(await (await client.files.content(batch.output_file_id)).text()) : [];
  assert.equal(done.length, batch.request_counts.completed);
});

test('models are listed and looked up', async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ['field-normalizer']);
  const model = await client.models.retrieve('field-normalizer');
  assert.equal(model.object, 'model');
  await assert.rejects(client.models.retrieve('no-such-model'), OpenAI.NotFoundError);
});

test('a broken line is reported by its number', async () => {
  const lines = demo.toString('utf8').trimEnd().split('\n');
  lines[16] = lines[16].slice(0, -5);
  const batch = await endOf(lines);
  assert.equal(batch.status, 'failed');
  assert.equal(batch.errors.data[0].line, 17);
  assert.equal(batch.errors.data[0].code, 'invalid_json_line');
  assert.ok(batch.errors.data[0].message.length > 0);
});

test('a custom_id used twice is reported at its second line', async () => {
  const lines = demo.toString('utf8').trimEnd().split('\n');
  lines[40] = lines[40].replace(/"cell-\d+"/, '"cell-00003"');
  const { status, errors } = await endOf(lines);
  assert.equal(status, 'failed');
  assert.deepEqual([errors.data[0].code, errors.data[0].line], ['duplicate_custom_id', 41]);
});

test('a model that is not there is named', async () => {
  const lines = demo.toString('utf8').trimEnd().split('\n').map((line) => line.replace('"field-normalizer"', '"nobody"'));
  const { status, errors } = await endOf(lines);
  assert.equal(status, 'failed');
  assert.equal(errors.data[0].code, 'model_not_found');
  assert.match(errors.data[0].message, /nobody/);
});

test('refusals arrive as the client\'s own error classes', async () => {
  const stranger = newClient({ apiKey: 'sk-fallow-wrong', maxRetries: 0 });
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
  await assert.rejects(stranger.files.create({ file: createReadStream(batchFile), purpose: 'batch' }), OpenAI.AuthenticationError);
  await assert.rejects(client.files.retrieve('file-unknown'), OpenAI.NotFoundError);
  await assert.rejects(client.batches.retrieve('batch_unknown'), OpenAI.NotFoundError);
  await assert.rejects(
    client.batches.create({ input_file_id: 'file-unknown', endpoint: '/v1/chat/completions', completion_window: '24h' }),
    (error) => error instanceof OpenAI.BadRequestError || error instanceof OpenAI.NotFoundError,
  );
  await assert.rejects(
    client.files.create({ file: createReadStream(batchFile), purpose: 'fine-tune' }), OpenAI.BadRequestError,
  );
});

test('every reply names its request', async () => {
  const { request_id } = await client.models.list().withResponse();
  assert.ok(request_id);
});

async function endOf(lines) {
  const file = await client.files.create({ file: await toFile(Buffer.from(`${lines.join('\n')}\n`), 'changed.jsonl'), purpose: 'batch' });
  const created = await client.batches.create({
    input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h',
  });
  return awaitEnd(client, created.id);
}

// A batch may have ended before it could be cancelled.
function ignoreEnded(error) {
  if (!(error instanceof OpenAI.BadRequestError)) throw error;
}
