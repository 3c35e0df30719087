import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReplyOrder } from '../src/state/reply_order';

test('a reply that a later one has overtaken does not count', () => {
  const order = new ReplyOrder();
  const [first, second] = [order.ask(), order.ask()];
  assert.equal(order.take(second), true);
  assert.equal(order.take(first), false);
});

test('slow replies count though more is asked before they come', () => {
  const order = new ReplyOrder();
  const first = order.ask();
  const second = order.ask();
  assert.equal(order.take(first), true);
  order.ask();
  assert.equal(order.take(second), true);
});

test('after a drop only what is asked then counts', () => {
  const order = new ReplyOrder();
  const before = order.ask();
  order.drop();
  assert.equal(order.take(before), false);
  assert.equal(order.take(order.ask()), true);
});
