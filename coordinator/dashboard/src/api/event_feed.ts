// A feed of the coordinator's events that mends itself: it connects, reads, and connects again when the connection
// breaks or falls silent. The first event of every connection is a snapshot, so nothing is missed in between.
import { EventParser, type StreamEvent } from './event_parser';

export type FeedState = 'connecting' | 'live' | 'reconnecting';

// The coordinator sends at least a comment every 15 s; twice that and some is silence.
export const SILENCE_LIMIT_MS = 40_000;
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 15_000;

// How long to wait before the attempt after `failures` failed ones: doubling, with up to a quarter taken off at
// random so that many pages do not come back at once.
export function reconnectDelayMs(failures: number, random: number): number {
  const full = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.max(0, failures - 1));
  return Math.round(full * (1 - random / 4));
}

export interface FeedListener {
  onEvent(event: StreamEvent): void;
  onState(state: FeedState): void;
  onSessionEnded(): void;
}

// What the feed does to the world.
export interface FeedEffects {
  fetch(address: string, init: RequestInit): Promise<Response>;
  setTimer(fn: () => void, delayMs: number): unknown;
  clearTimer(timer: unknown): void;
  random(): number;
}

export const browserEffects: FeedEffects = {
  fetch: (address, init) => fetch(address, init),
  setTimer: (fn, delayMs) => setTimeout(fn, delayMs),
  clearTimer: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  random: Math.random,
};

export class EventFeed {
  private attempt: AbortController | null = null;
  private timer: unknown = null;
  private failures = 0; // attempts in a row that brought no event
  private live = false;

  constructor(
    private readonly address: string,
    private readonly listener: FeedListener,
    private readonly effects: FeedEffects = browserEffects,
  ) {}

  start(): void {
    this.stop();
    this.failures = 0;
    this.live = false;
    this.listener.onState('connecting');
    void this.connect();
  }

  // Ends the connection; no listener is called afterwards until `start`.
  stop(): void {
    this.attempt?.abort();
    this.attempt = null;
    this.clearTimer();
  }

  private async connect(): Promise<void> {
    const attempt = new AbortController();
    this.attempt = attempt;
    try {
      this.watchSilence(attempt);
      const reply = await this.effects.fetch(this.address, {
        headers: { accept: 'text/event-stream' },
        credentials: 'same-origin',
        cache: 'no-store',
        signal: attempt.signal,
      });
      if (this.attempt !== attempt) return;
      if (reply.status === 401) {
        this.stop();
        this.listener.onSessionEnded();
        return;
      }
      if (!reply.ok || reply.body === null) throw new Error(`status ${reply.status}`);
      await this.read(reply.body, attempt);
    } catch {
      // Every way a connection can end leads to the same next step.
    }
    if (this.attempt === attempt) this.retry();
  }

  private async read(body: ReadableStream<Uint8Array>, attempt: AbortController): Promise<void> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.attempt !== attempt) return;
      this.watchSilence(attempt);
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        if (!this.live) this.listener.onState('live');
        this.live = true;
        this.failures = 0;
        this.listener.onEvent(event);
        if (this.attempt !== attempt) return;
      }
    }
  }

  private watchSilence(attempt: AbortController): void {
    this.clearTimer();
    this.timer = this.effects.setTimer(() => attempt.abort(), SILENCE_LIMIT_MS);
  }

  private retry(): void {
    this.clearTimer();
    this.live = false;
    this.failures += 1;
    this.listener.onState('reconnecting');
    this.timer = this.effects.setTimer(
      () => void this.connect(),
      reconnectDelayMs(this.failures, this.effects.random()),
    );
  }

  private clearTimer(): void {
    if (this.timer !== null) this.effects.clearTimer(this.timer);
    this.timer = null;
  }
}
