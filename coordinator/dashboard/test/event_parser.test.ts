import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventParser } from '../src/api/event_parser';

test('an event is whole only after its empty line, wherever the text is cut', () => {
  const text = 'event: job\ndata: {"id":1}\n\n: still here\n\ndata: a\ndata: b\r\n\r\n';
  for (let cut = 0; cut <= text.length; cut += 1) {
    const parser = new EventParser();
    const events = [...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))];
    assert.deepEqual(events, [
      { type: 'job', data: '{"id":1}' },
      { type: 'message', data: 'a\nb' },
    ]);
  }
});

test('comments and fields that mean nothing here make no event', () => {
  assert.deepEqual(new EventParser().push(': hello\n\nretry: 10\n\nid: 4\n\n'), []);
});

test('an event without end is refused at the limit', () => {
  const parser = new EventParser();
  const line = `data: ${'x'.repeat(1 << 20)}\n`;
  assert.throws(() => {
    for (let i = 0; i < 20; i += 1) parser.push(line);
  }, /16 MiB/);
});
