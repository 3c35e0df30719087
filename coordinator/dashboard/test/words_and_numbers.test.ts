import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Request } from '../src/api/types';
import {
  countOf, formatAgo, formatBytes, formatDuration, formatMilliseconds, formatParameters, formatRate, percentOf,
} from '../src/format';
import { parseRoute } from '../src/router';
import { parseFragment } from '../src/state/fragment';
import { answerOf, questionOf, shortId } from '../src/words';

test('durations are as precise as one can plan by', () => {
  const said = [0, 59.6, 60, 200, 3599, 3600, 7500, 200000].map(formatDuration);
  assert.deepEqual(said, ['0 s', '1 min', '1 min', '3 min 20 s', '1 h 00 min', '1 h 00 min', '2 h 05 min', '2 d 7 h']);
});

test('times of yielding keep the digits that tell something', () => {
  assert.deepEqual([0, 8.24, 9.96, 31.4, 999.6, 2540, 64000].map(formatMilliseconds),
    ['0.0 ms', '8.2 ms', '10 ms', '31 ms', '1.0 s', '2.5 s', '1 min 4 s']);
});

test('times gone by are said roughly, and never as a future', () => {
  assert.deepEqual([2, 43, 200, 7300, 200000].map((s) => formatAgo(1000 - s, 1000)),
    ['just now', '40 s ago', '3 min ago', '2 h ago', '2 d ago']);
  assert.equal(formatAgo(1005, 1000), 'just now');
});

test('sizes, rates and counts fit a table cell', () => {
  assert.deepEqual([0, 999, 2675968, 9960000, 24e9].map(formatBytes), ['0 bytes', '999 bytes', '2.7 MB', '10 MB', '24 GB']);
  assert.deepEqual([0, 8.44, 312.4, 1204].map(formatRate), ['0', '8.4', '312', '1,204']);
  assert.deepEqual([1, 2000].map((n) => countOf(n, 'request')), ['1 request', '2,000 requests']);
  assert.deepEqual([270, 2_512_000, 494_032_768, 999_999_999, 7.24e9].map(formatParameters), ['270', '2.5 M', '494 M', '1.0 B', '7.2 B']);
});

test('a job is at 100 % only when nothing is left', () => {
  assert.deepEqual([percentOf(0, 0), percentOf(1999, 2000), percentOf(2000, 2000)], [0, 99, 100]);
});

test('addresses lead to pages, and strange ones to none', () => {
  assert.deepEqual(parseRoute('/'), { page: 'jobs' });
  assert.deepEqual(parseRoute('/jobs/batch_a%2Fb'), { page: 'job', id: 'batch_a/b' });
  assert.deepEqual(parseRoute('/devices/'), { page: 'devices' });
  for (const path of ['/nowhere', '/jobs/a/b', '/jobs/%E0%A4%A']) assert.equal(parseRoute(path).page, 'unknown');
});

test('a link tells a key from a join token', () => {
  assert.deepEqual(parseFragment('#key=sk-fallow-x&pin=00'), { kind: 'key', key: 'sk-fallow-x' });
  assert.deepEqual(parseFragment('#join=t&pin=00'), { kind: 'join' });
  assert.deepEqual(parseFragment('#main'), { kind: 'none' });
});

test('a request is recognised by what its user said last', () => {
  const request = {
    body: {
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: [{ type: 'text', text: 'date: ' }, { type: 'text', text: '3 juin' }] },
      ],
    },
    response: { choices: [{ message: { role: 'assistant', content: '2016-06-03' } }] },
  } as unknown as Request;
  assert.equal(questionOf(request), 'date: 3 juin');
  assert.equal(answerOf(request), '2016-06-03');
  assert.equal(questionOf({ body: {}, response: null } as Request), '');
});

test('an embedding request is recognised by its first input, and answered by vectors', () => {
  const preview = { object: 'embeddings_preview', vector_count: 3, vector_length: 384, data: [] };
  const asking = (input: unknown) => ({ body: { input }, response: preview }) as unknown as Request;
  assert.equal(questionOf(asking('a text')), 'a text');
  assert.equal(questionOf(asking(['a', 'b', 'c'])), 'a (and 2 more inputs)');
  assert.equal(questionOf(asking([5, 6])), '[5, 6]');
  assert.equal(questionOf(asking([[5, 6], [7]])), '[5,6] (and 1 more input)');
  assert.equal(answerOf(asking('a text')), '3 vectors of 384 values');
  assert.equal(answerOf({ body: { input: 'x' }, response: null } as unknown as Request), '');
});

test('a long id is cut where it still tells two apart', () => {
  assert.equal(shortId('batch_0123456789abcdef'), 'batch_0123456789…');
  assert.equal(shortId('dev_1'), 'dev_1');
});
