import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventFeed, reconnectDelayMs, SILENCE_LIMIT_MS, type FeedEffects } from '../src/api/event_feed';

// A world in which the test answers each connection and lets timers run out by hand.
class World implements FeedEffects {
  readonly log: string[] = [];
  readonly connections: {
    answer: (reply: Response) => void;
    fail: () => void;
    write: (text: string) => void;
    close: () => void;
  }[] = [];
  private readonly timers = new Map<number, { fn: () => void; delayMs: number }>();
  private nextTimer = 1;

  readonly feed = new EventFeed('/api/events', {
    onEvent: (event) => this.log.push(`event ${event.type}`),
    onState: (state) => this.log.push(state),
    onSessionEnded: () => this.log.push('session ended'),
  }, this);

  fetch(_address: string, init: RequestInit): Promise<Response> {
    return new Promise((resolve, reject) => {
      let controller!: ReadableStreamDefaultController<Uint8Array>;
      const body = new ReadableStream<Uint8Array>({ start: (c) => { controller = c; } });
      init.signal?.addEventListener('abort', () => {
        reject(new Error('aborted'));
        try { controller.error(new Error('aborted')); } catch { /* closed before */ }
      });
      this.connections.push({
        answer: resolve,
        fail: () => reject(new Error('refused')),
        write: (text) => {
          resolve(new Response(body, { status: 200 }));
          if (!init.signal?.aborted) controller.enqueue(new TextEncoder().encode(text));
        },
        close: () => controller.close(),
      });
    });
  }
  setTimer(fn: () => void, delayMs: number): unknown {
    this.timers.set(this.nextTimer, { fn, delayMs });
    return this.nextTimer++;
  }
  clearTimer(timer: unknown): void {
    this.timers.delete(timer as number);
  }
  random(): number {
    return 0;
  }

  delays(): number[] {
    return [...this.timers.values()].map((timer) => timer.delayMs);
  }
  async runTimer(): Promise<void> {
    const [id, timer] = [...this.timers][0]!;
    this.timers.delete(id);
    timer.fn();
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

test('a feed is live from its first event', async () => {
  const world = new World();
  world.feed.start();
  world.connections[0]!.write('event: snapshot\ndata: {}\n\n');
  await settle();
  assert.deepEqual(world.log, ['connecting', 'live', 'event snapshot']);
  world.feed.stop();
});

test('a broken connection is made again, later after each failure and soon after a success', async () => {
  const world = new World();
  world.feed.start();
  world.connections[0]!.fail();
  await settle();
  assert.deepEqual(world.delays(), [500]);
  await world.runTimer();
  world.connections[1]!.answer(new Response('no', { status: 503 }));
  await settle();
  assert.deepEqual(world.delays(), [1000]);
  await world.runTimer();
  world.connections[2]!.write('event: job\ndata: {}\n\n');
  await settle();
  world.connections[2]!.close();
  await settle();
  assert.deepEqual(world.delays(), [500]);
  assert.deepEqual(world.log, ['connecting', 'reconnecting', 'reconnecting', 'live', 'event job', 'reconnecting']);
  world.feed.stop();
});

test('a connection that falls silent is given up', async () => {
  const world = new World();
  world.feed.start();
  world.connections[0]!.write('event: snapshot\ndata: {}\n\n');
  await settle();
  assert.deepEqual(world.delays(), [SILENCE_LIMIT_MS]);
  await world.runTimer();
  assert.equal(world.log.at(-1), 'reconnecting');
  world.feed.stop();
});

test('a refused session ends the feed instead of being tried for ever', async () => {
  const world = new World();
  world.feed.start();
  world.connections[0]!.answer(new Response('no', { status: 401 }));
  await settle();
  assert.deepEqual(world.log, ['connecting', 'session ended']);
  assert.deepEqual(world.delays(), []);
});

test('a stopped feed is silent, whatever its connection still does', async () => {
  const world = new World();
  world.feed.start();
  world.feed.stop();
  world.connections[0]!.write('event: job\ndata: {}\n\n');
  await settle();
  assert.deepEqual(world.log, ['connecting']);
  assert.deepEqual(world.delays(), []);
});

test('delays double up to a limit and are spread at random', () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 60].map((n) => reconnectDelayMs(n, 0)), [500, 1000, 2000, 4000, 8000, 15000, 15000]);
  assert.equal(reconnectDelayMs(1, 1), 375);
});
