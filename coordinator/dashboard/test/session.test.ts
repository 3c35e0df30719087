import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiClient, UNREACHABLE, type ApiError } from '../src/api/client';
import { Session } from '../src/state/session';

const REFUSED = { error: { message: 'no', code: null } };

// The coordinator's replies, given by the test in the order it likes.
class Coordinator {
  private readonly calls: { name: string; answer: (reply: Response) => void }[] = [];
  readonly api = new ApiClient();
  readonly session = new Session(this.api);

  constructor() {
    Object.assign(globalThis, {
      fetch: (path: string, init: RequestInit) =>
        new Promise<Response>((resolve) => this.calls.push({ name: `${init.method} ${path}`, answer: resolve })),
      localStorage: { getItem: () => null, setItem: () => {}, removeItem: () => {} },
    });
  }
  // Answers a call of that name, the newest that waits.
  async answer(name: string, status: number, body: unknown = {}): Promise<void> {
    await this.reply(name, status === 204 ? new Response(null, { status }) : Response.json(body, { status }));
  }
  async answerText(name: string, text: string): Promise<void> {
    await this.reply(name, new Response(text));
  }
  private async reply(name: string, reply: Response): Promise<void> {
    const at = this.calls.map((call) => call.name).lastIndexOf(name);
    assert.ok(at >= 0, `${name} waits`);
    this.calls.splice(at, 1)[0]!.answer(reply);
    await new Promise((resolve) => setImmediate(resolve));
  }
  who(): string {
    const state = this.session.state.get();
    return state.kind === 'signed_in' ? state.me.account : state.kind;
  }
}

test('a reply that breaks off is said like a coordinator that does not answer', async () => {
  const world = new Coordinator();
  const broken = world.api.models().then(() => 'a reply', (error: ApiError) => error.message);
  await world.answerText('GET /api/models', '{"data": [');
  assert.equal(await broken, UNREACHABLE);
});

test('a key lets in', async () => {
  const world = new Coordinator();
  const refused = world.session.signIn('key');
  await world.answer('POST /api/session', 204);
  await world.answer('GET /api/me', 200, { account: 'alice' });
  assert.equal(await refused, null);
  assert.equal(world.who(), 'alice');
});

test('what an earlier sign-in still brings does not count', async () => {
  const world = new Coordinator();
  const first = world.session.signIn('of bob');
  await world.answer('POST /api/session', 204);
  const second = world.session.signIn('of alice');
  await world.answer('POST /api/session', 204);
  await world.answer('GET /api/me', 200, { account: 'alice' });
  await world.answer('GET /api/me', 401, REFUSED); // bob's
  await Promise.all([first, second]);
  assert.equal(world.who(), 'alice');
});

test('a slow sign-out does not end the session that began after it', async () => {
  const world = new Coordinator();
  const out = world.session.signOut();
  const refused = world.session.signIn('key');
  await world.answer('POST /api/session', 204);
  await world.answer('GET /api/me', 200, { account: 'alice' });
  await world.answer('DELETE /api/session', 204);
  await Promise.all([out, refused]);
  assert.equal(world.who(), 'alice');
});

test('a call refused for the session before does not end the next', async () => {
  const world = new Coordinator();
  const before = [world.api.jobs(1), world.api.models()].map((call) => call.catch(() => {}));
  await world.answer('GET /api/jobs?limit=1', 401, REFUSED);
  assert.equal(world.who(), 'signed_out');
  const refused = world.session.signIn('key');
  await world.answer('POST /api/session', 204);
  await world.answer('GET /api/me', 200, { account: 'alice' });
  await world.answer('GET /api/models', 401, REFUSED);
  await Promise.all([...before, refused]);
  assert.equal(world.who(), 'alice');
  const ended = world.api.models().catch(() => {});
  await world.answer('GET /api/models', 401, REFUSED);
  await ended;
  assert.equal(world.who(), 'signed_out');
});

test('who has signed out is not told by a late reply that the session has ended', async () => {
  const world = new Coordinator();
  const refused = world.session.signIn('key');
  await world.answer('POST /api/session', 204);
  await world.answer('GET /api/me', 200, { account: 'alice' });
  const late = world.api.models().catch(() => {});
  const out = world.session.signOut();
  await world.answer('DELETE /api/session', 204);
  await world.answer('GET /api/models', 401, REFUSED);
  await Promise.all([refused, late, out]);
  assert.deepEqual(world.session.state.get(), { kind: 'signed_out', notice: null });
});
