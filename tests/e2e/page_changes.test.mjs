// What changes under a person's hands: events and replies come in an order of the test's choosing, while something is
// open, has the focus or is being typed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holdReplies, scriptFeed, signIn, withPage } from './support/page.mjs';

const { FALLOW_ORIGIN, FALLOW_KEY } = process.env;
const NOW = Math.floor(Date.now() / 1000);

function job(id, status, fields = {}) {
  return {
    id, status, endpoint: '/v1/chat/completions', completion_window: '24h', model: 'field-normalizer',
    input_file_id: 'file-1', created_at: NOW, metadata: { name: `Job ${id}` },
    request_counts: { total: 3, completed: 0, failed: 0 },
    progress: { tokens_per_second: 0, generated_tokens: 0, devices: 1, seconds_left: null }, ...fields,
  };
}

function device(hostname, state) {
  return {
    id: `dev_${hostname}`, hostname, state, reason: '', operating_system: 'Linux', agent_version: '0.1', backend: 'cpu',
    processor: 'CPU', driver: '', memory_bytes: 0, tokens_per_second: 0, completed_requests: 0, leases: [],
    last_seen_at: NOW, yields: null,
  };
}

function request(index, state) {
  return {
    index, state, custom_id: `line ${index}`, body: { messages: [{ role: 'user', content: `question ${index}` }] },
    response: null, error: null, device: null,
  };
}

// A signed-in page at `path` whose feed is in the test's hand.
function withFeed(path, snapshot, use) {
  return withPage({}, async (page) => {
    const feed = await scriptFeed(page);
    await signIn(page);
    await feed.connect({ jobs: [], devices: [] });
    await page.evaluate((to) => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')); }, path);
    await feed.send('snapshot', snapshot);
    await use(page, feed);
  });
}

const badge = (page, text) => page.locator('.page-head .badge').filter({ hasText: text });
const focused = (page) => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.id);

test('a question stays while its row moves, and while the filter drops it', () => withFeed(
  '/devices', { jobs: [], devices: [device('ant', 'idle'), device('bee', 'idle'), device('cat', 'idle')] },
  async (page, feed) => {
    await page.getByLabel('State').selectOption('idle');
    await page.getByRole('button', { name: 'Remove cat' }).click();
    const dialog = page.getByRole('dialog', { name: 'Remove cat?' });
    await dialog.waitFor();
    await feed.send('device', device('cat', 'working'));
    await page.getByText('cat', { exact: true }).waitFor({ state: 'detached' });
    await page.getByLabel('State').evaluate((select) => {
      select.value = '';
      select.dispatchEvent(new Event('change', { bubbles: true }));
    });
    await page.locator('tbody tr').first().filter({ hasText: 'cat' }).waitFor();
    assert.equal(await dialog.evaluate((element) => element.matches(':modal')), true);
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' }); // a closed one may still be there, without its role
    assert.equal(await focused(page), 'main'); // the button it was asked from has gone meanwhile
  },
));

test('the focus stays with a row that moves, and goes to the next when its row goes', () => withFeed(
  '/devices', { jobs: [], devices: [device('ant', 'idle'), device('bee', 'idle'), device('cat', 'idle')] },
  async (page, feed) => {
    for (const name of ['ant', 'bee', 'cat']) {
      await page.getByRole('button', { name: `Remove ${name}` }).focus();
      await feed.send('device', device(name, 'working'));
      await page.locator('tbody tr').filter({ hasText: name }).getByText('Working').waitFor();
      assert.equal(await focused(page), `Remove ${name}`);
    }
    await page.getByRole('button', { name: 'Remove bee' }).focus();
    await feed.send('device_removed', { id: 'dev_bee' });
    await page.getByText('bee', { exact: true }).waitFor({ state: 'detached' });
    assert.equal(await focused(page), 'Remove cat');
    await feed.send('device_removed', { id: 'dev_cat' });
    await page.getByText('cat', { exact: true }).waitFor({ state: 'detached' });
    assert.equal(await focused(page), 'Remove ant');
    await feed.send('device_removed', { id: 'dev_ant' });
    await page.getByText('No devices yet').waitFor();
    assert.equal(await focused(page), 'main');
  },
));

test('a job that a new connection does not tell of stays, with what is open in it', () => withPage({}, async (page) => {
  const feed = await scriptFeed(page);
  const jobReply = await holdReplies(page, '/api/jobs/old');
  const requestsReply = await holdReplies(page, '/api/jobs/old/requests');
  await signIn(page);
  await feed.connect({ jobs: [], devices: [] });
  await page.goto(`${FALLOW_ORIGIN}/jobs/old`);
  const again = await feedOfReload(page);
  await again({ jobs: [], devices: [] });
  await jobReply(job('old', 'in_progress'));
  await requestsReply({ data: [request(0, 'pending'), request(1, 'pending'), request(2, 'pending')] });
  await page.locator('.request-row').nth(1).click();
  await page.getByRole('button', { name: 'Cancel job' }).click();

  await page.evaluate(() => window.connections.at(-1).close());
  await page.waitForFunction(() => window.connections.length === 2);
  await page.evaluate(() => window.send('snapshot', { jobs: [], devices: [] }));
  await page.getByText('Live', { exact: true }).waitFor();
  assert.equal(await page.getByRole('dialog').evaluate((element) => element.matches(':modal')), true);
  assert.equal(await page.locator('.request-panel').count(), 1);

  // An event that comes before the reply does is not taken back by it, nor is anything else.
  await page.evaluate((other) => window.send('job', other), job('other', 'in_progress'));
  await jobReply(job('old', 'finalizing'));
  await badge(page, 'Writing results').waitFor();
  assert.equal(await page.locator('.request-panel').count(), 1);
  await page.keyboard.press('Escape');
  await page.getByRole('link', { name: 'Jobs', exact: true }).first().click();
  await page.getByRole('link', { name: 'Job other' }).waitFor();
}));

test('a reply to a cancellation does not take back what events have told since', () => withPage({}, async (page) => {
  const feed = await scriptFeed(page);
  const reply = await holdReplies(page, '/api/jobs/a/cancel');
  await page.route('**/api/jobs/a/requests*', (route) => route.fulfill({ json: { data: [] } }));
  await signIn(page);
  await feed.connect({ jobs: [job('a', 'in_progress')], devices: [] });
  await page.getByRole('link', { name: 'Job a' }).click();
  await page.getByRole('button', { name: 'Cancel job' }).click();
  await page.getByRole('button', { name: 'Cancel the job' }).click();
  await feed.send('job', job('a', 'cancelled'));
  await badge(page, 'Cancelled').waitFor();
  await reply(job('a', 'cancelling'));
  await page.locator('dialog').waitFor({ state: 'detached' });
  await badge(page, 'Cancelled').waitFor();
}));

test('an open request stays open when it comes to a state that the filter drops', () => withPage({}, async (page) => {
  const feed = await scriptFeed(page);
  const reply = await holdReplies(page, '/api/jobs/a/requests');
  await signIn(page);
  await feed.connect({ jobs: [job('a', 'in_progress')], devices: [] });
  await page.getByRole('link', { name: 'Job a' }).click();
  await reply({ data: [request(0, 'pending'), request(1, 'pending'), request(2, 'pending')] });
  await page.getByRole('combobox', { name: 'State' }).selectOption('pending');
  await page.locator('.request-row').nth(1).click();
  await reply({ data: [request(0, 'pending'), request(1, 'pending'), request(2, 'pending')] }); // it follows the job
  await feed.send('job', job('a', 'in_progress', { request_counts: { total: 3, completed: 2, failed: 0 } }));
  await reply({ data: [request(0, 'done'), request(1, 'done'), request(2, 'pending')] });
  await page.waitForFunction(() => document.querySelectorAll('.request').length === 2);
  assert.equal(await page.locator('.request-panel').count(), 1);
  await page.getByRole('combobox', { name: 'State' }).selectOption('failed');
  await page.getByText('None of the 3 requests on this page fits the filter').waitFor();
}));

test('the pages of requests are named as they are shown, and no step to the next is lost', () => withPage({}, async (page) => {
  const feed = await scriptFeed(page);
  const reply = await holdReplies(page, '/api/jobs/a/requests');
  await signIn(page);
  await feed.connect({ jobs: [job('a', 'completed', { request_counts: { total: 200, completed: 200, failed: 0 } })], devices: [] });
  const rows = (first) => ({ data: Array.from({ length: 50 }, (_, i) => request(first + i, 'done')) });
  await page.getByRole('link', { name: 'Job a' }).click();
  await reply(rows(0));
  await page.getByText('1 – 50 of 200').waitFor();
  const next = page.getByRole('button', { name: 'Next' });
  await next.focus();
  await next.evaluate((button) => { button.click(); button.click(); });
  await page.waitForURL('**/jobs/a?first=100');
  await page.getByText('1 – 50 of 200').waitFor();
  await reply(rows(100));
  await page.getByText('101 – 150 of 200').waitFor();
  await page.keyboard.press('Enter');
  await reply(rows(150));
  await page.getByText('151 – 200 of 200').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), 'Next'); // where the keyboard was
}));

test('a sign-in that fails half way is said, and can be tried again', () => withPage({}, async (page) => {
  await page.route('**/api/me', (route) => route.fulfill({ status: 503, json: { error: { message: 'Not yet.', code: null } } }));
  await page.goto(FALLOW_ORIGIN);
  await page.getByLabel('API key').fill(FALLOW_KEY);
  await page.keyboard.press('Enter');
  await page.getByText('Not yet.').waitFor();
  await page.unroute('**/api/me');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('navigation', { name: 'Pages' }).waitFor();
  page.problems.length = 0; // the call that failed
}));

test('who takes the place of another by a sign-in link sees nothing of theirs', () => withPage({}, async (page) => {
  const feed = await scriptFeed(page);
  await page.route('**/api/jobs/a*', (route) => route.fulfill({ status: 404, json: { error: { message: 'No such job.', code: null } } }));
  await page.route('**/api/jobs/a/requests*', (route) => route.fulfill({ json: { data: [] } }));
  await signIn(page);
  await feed.connect({ jobs: [job('a', 'completed')], devices: [] });
  await page.getByRole('link', { name: 'Job a' }).click();
  await page.getByRole('heading', { name: 'Job a' }).waitFor();
  await page.route('**/api/session', (route) => route.fulfill({ status: 204 }));
  await page.route('**/api/me', (route) => route.fulfill({
    json: { key_id: 'key_of_bob', name: 'bob', account: 'acct_bob', role: 'submitter', coordinator_version: '0' },
  }));
  await page.evaluate(() => { location.hash = '#key=of-bob'; });
  await feed.connect({ jobs: [] });
  await page.getByRole('button', { name: 'Account: bob' }).waitFor();
  await page.getByText('No such job.').waitFor();
  assert.equal(await page.getByText('Job a').count(), 0);
  page.problems.length = 0; // the call that was refused
}));

test('however fast a long job goes on, its requests are asked for every two seconds at most', () => withPage({}, async (page) => {
  const feed = await scriptFeed(page);
  let calls = 0;
  await page.route('**/api/**', (route) => {
    if (new URL(route.request().url()).pathname.startsWith('/api/jobs')) calls += 1;
    return route.fallback();
  });
  await page.route('**/api/jobs/a/requests*', (route) => {
    calls += 1;
    return route.fulfill({ json: { data: Array.from({ length: 50 }, (_, i) => request(i, 'pending')) } });
  });
  await signIn(page);
  const at = (completed) => job('a', 'in_progress', { request_counts: { total: 20000, completed, failed: 0 } });
  await feed.connect({ jobs: [at(0)], devices: [] });
  await page.getByRole('link', { name: 'Job a' }).click();
  await page.locator('.request-row').nth(49).waitFor();
  const began = Date.now();
  for (let completed = 1; completed <= 500; completed += 1) await feed.send('job', at(completed));
  await page.getByText('500 of 20,000 requests').waitFor();
  const most = 3 + Math.ceil((Date.now() - began) / 2000);
  assert.ok(calls <= most, `${calls} calls, ${most} at most`);
}));

test('Enter twice makes one key', () => withPage({}, async (page) => {
  await signIn(page);
  await page.getByRole('link', { name: 'Keys' }).click();
  const made = [];
  const first = new Promise((resolve) => {
    void page.route('**/api/keys', async (route) => {
      if (route.request().method() !== 'POST') return route.fallback();
      made.push(route);
      resolve();
    });
  });
  await page.getByLabel('Name of a new key').fill('twice');
  await page.keyboard.press('Enter');
  await first;
  await page.keyboard.press('Enter');
  await made[0].fulfill({ json: { id: 'key_1', name: 'twice', secret: 'sk-fallow-once', role: 'submitter' } });
  await page.getByText('sk-fallow-once').waitFor();
  assert.equal(made.length, 1);
}));

test('a command is there to copy only when it is whole', () => withPage({}, async (page) => {
  const feed = await scriptFeed(page);
  const reply = await holdReplies(page, '/api/join');
  await signIn(page);
  await feed.connect({ jobs: [job('a', 'completed')], devices: [] });
  await page.getByRole('link', { name: 'Devices' }).click();
  await page.getByText('No devices yet').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Copy' }).count(), 0);
  await reply({ link: 'https://there/#join=1' });
  await page.getByText("fallow-agent join 'https://there/#join=1'").waitFor();
}));

test('a network that comes back brings a new connection, whatever the old one looks like', () => withPage({}, async (page) => {
  const feed = await scriptFeed(page);
  await signIn(page);
  await feed.connect({ jobs: [], devices: [] });
  await page.evaluate(() => dispatchEvent(new Event('online')));
  await feed.connect({ jobs: [job('new', 'in_progress')], devices: [] });
  await page.getByRole('link', { name: 'Job new' }).waitFor();
}));

// After a reload the page's connections count from one.
async function feedOfReload(page) {
  await page.waitForFunction(() => window.connections?.length === 1);
  return async (snapshot) => {
    await page.evaluate((data) => window.send('snapshot', data), snapshot);
    await page.getByText('Live', { exact: true }).waitFor();
  };
}
