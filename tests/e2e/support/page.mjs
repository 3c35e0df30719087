// What the tests of the page share: a page with its problems, a session, and a feed in the test's hand.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openPage } from './browser.mjs';

const { FALLOW_SIGN_IN_LINK, FALLOW_SCREENS } = process.env;

export async function withPage(options, use) {
  mkdirSync(FALLOW_SCREENS, { recursive: true });
  const page = await openPage(options);
  try {
    await use(page);
    assert.deepEqual(page.problems, []);
  } catch (error) {
    await page.screenshot({ path: join(FALLOW_SCREENS, 'failure.png') }).catch(() => {});
    throw error;
  } finally {
    await page.end();
  }
}

export async function signIn(page) {
  await page.goto(FALLOW_SIGN_IN_LINK);
  await page.getByRole('navigation', { name: 'Pages' }).waitFor();
}

// Before the page is opened: its events come from the test alone. `connect` waits for the page's next connection and
// gives it a snapshot, `send` an event, `cut` ends it.
export async function scriptFeed(page) {
  await page.addInitScript(() => {
    const fetchOfBrowser = window.fetch;
    window.connections = [];
    window.fetch = async (address, init) => {
      if (address !== '/api/events') return fetchOfBrowser(address, init);
      let controller;
      const body = new ReadableStream({ start: (c) => { controller = c; } });
      init.signal.addEventListener('abort', () => { try { controller.error(new Error('aborted')); } catch { /* cut */ } });
      window.connections.push(controller);
      return new Response(body);
    };
    window.send = (type, data) => window.connections.at(-1).enqueue(
      new TextEncoder().encode(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`),
    );
  });
  let connections = 0;
  const send = (type, data) => page.evaluate(([t, d]) => window.send(t, d), [type, data]);
  return {
    send,
    async connect(snapshot) {
      connections += 1;
      await page.waitForFunction((count) => window.connections?.length === count, connections);
      await send('snapshot', snapshot);
      await page.getByText('Live', { exact: true }).waitFor();
    },
    cut: () => page.evaluate(() => window.connections.at(-1).close()),
  };
}

// Holds the replies to calls of `path` back; the function returned lets the oldest that is held go with `json`, when it
// has come.
export async function holdReplies(page, path) {
  const held = [];
  const waiting = [];
  await page.route((url) => url.pathname === path, (route) => {
    const take = waiting.shift();
    if (take) take(route);
    else held.push(route);
  });
  return async (json) => {
    const route = held.shift() ?? (await new Promise((resolve) => waiting.push(resolve)));
    await route.fulfill({ json });
  };
}
