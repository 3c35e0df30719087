import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chatWords, memoryTable, purposeWords } from '../src/model_words';

test('a model says what it is for', () => {
  assert.equal(purposeWords({ pooling: 'none' }), 'generates text');
  assert.equal(purposeWords({ pooling: 'cls', embedding_length: 1024 }), 'embeds texts: 1,024 values, first token pooling');
  assert.equal(purposeWords({ pooling: 'rank' }), 'embeds texts: rank pooling');
});

test('what an older card does not say is left out', () => {
  assert.equal(purposeWords({}), undefined);
  assert.equal(chatWords({}), undefined);
  assert.deepEqual(memoryTable([]), { tokens: [], rows: [] });
});

test('a chat template is a matter of generating models', () => {
  assert.equal(chatWords({ chat: true, pooling: 'none' }), 'yes');
  assert.equal(chatWords({ chat: false }), 'none');
  assert.equal(chatWords({ chat: false, pooling: 'mean' }), undefined);
});

test('memory is a table by sequences and their length, whatever the order of its figures', () => {
  const table = memoryTable([
    { sequences: 8, tokens: 2048, bytes: 3 },
    { sequences: 1, tokens: 32768, bytes: 2 },
    { sequences: 1, tokens: 2048, bytes: 1 },
  ]);
  assert.deepEqual(table.tokens, [2048, 32768]);
  assert.deepEqual(table.rows, [{ sequences: 1, bytes: [1, 2] }, { sequences: 8, bytes: [3, undefined] }]);
});
