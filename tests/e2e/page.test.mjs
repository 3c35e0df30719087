// The dashboard in a real browser, on a live coordinator and agent.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { batchFile, newClient, parseLines, readLines, submit, submitLong } from './support/batches.mjs';
import { signIn, withPage } from './support/page.mjs';

const { FALLOW_ORIGIN, FALLOW_KEY, FALLOW_SCREENS } = process.env;
const client = newClient();
const expected = readLines(batchFile);
const RUN_LIMIT_MS = 300_000; // against hanging alone

test('a wrong key is refused in words, the right one lets in', () => withPage({}, async (page) => {
  await page.goto(FALLOW_ORIGIN);
  await page.getByLabel('API key').fill('sk-fallow-not-a-key');
  await page.keyboard.press('Enter');
  const alert = page.getByRole('alert');
  await alert.waitFor();
  assert.match(await alert.innerText(), /key is not known/);
  // The browser itself notes the refused call, once; nothing else may have gone wrong.
  assert.ok(page.problems.length > 0 && page.problems.every((problem) => problem.includes('401')), page.problems.join('\n'));
  page.problems.length = 0;

  await page.getByLabel('API key').fill(FALLOW_KEY);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
}));

test('an empty coordinator tells the next step', () => withPage({}, async (page) => {
  await signIn(page);
  await page.getByText('No jobs yet').waitFor();
  assert.match(await page.locator('main').innerText(), /fallow submit batch\.jsonl --model field-normalizer --wait/);
}));

test('a sign-in link signs in and leaves no key in the address', () => withPage({}, async (page) => {
  await signIn(page);
  assert.equal(new URL(page.url()).hash, '');
  assert.ok(!(await page.content()).includes(FALLOW_KEY));
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  assert.ok(!stored.includes('sk-fallow'), 'the key is not stored');
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script can read the session');
  await page.reload();
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
}));

test('a batch is watched from nothing to done, and its answers read beside its requests', () => withPage({}, async (page) => {
  await signIn(page);
  await recordProgress(page);
  const job = await submit(client, batchFile, { name: 'Watched batch' });

  // It appears without a reload, and its numbers only ever grow.
  const row = page.getByRole('row').filter({ hasText: 'Watched batch' });
  await row.waitFor();
  await row.getByRole('link').click();
  await page.waitForURL(`**/jobs/${job.id}`);
  await page.waitForFunction(() => window.seenProgress.at(-1) === 100, null, { timeout: RUN_LIMIT_MS });
  const seen = await page.evaluate(() => window.seenProgress);
  assert.ok(seen[0] < 100, `seen running: ${seen}`);
  assert.deepEqual(seen, [...seen].sort((a, b) => a - b));

  await page.locator('.page-head .badge').filter({ hasText: 'Done' }).waitFor();
  const requests = page.locator('.request');
  await page.waitForFunction(() => document.querySelectorAll('.request .tone-good').length === 50);
  assert.equal(await requests.count(), 50);

  // The third request: its input on one side, its true answer on the other.
  await requests.nth(2).getByRole('button').click();
  const panel = page.locator('.request-panel');
  const question = expected[2].body.messages.at(-1).content;
  assert.match(await panel.getByRole('region', { name: 'Input' }).innerText(), new RegExp(escape(question)));
  const answers = await outputOf(job.id);
  const answer = answers.get(expected[2].custom_id);
  assert.ok(answer.length > 0);
  assert.match(await panel.getByRole('region', { name: 'Answer' }).innerText(), new RegExp(escape(answer)));
  const facts = await panel.locator('.facts').innerText();
  assert.match(facts, /cell-00003/);
  assert.match(facts, /in, \d+ out/);
  assert.match(facts, /Device\s+\S+/);

  // The next page, and a filter within it.
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByText('51 – 100 of 200').waitFor();
  await page.getByText(expected[50].body.messages.at(-1).content, { exact: true }).first().waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type(expected[60].custom_id);
  await page.waitForFunction(() => document.querySelectorAll('.request').length === 1);
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => document.querySelectorAll('.request').length === 50);
}));

test('answers are saved as a file', () => withPage({}, async (page) => {
  const [job] = (await client.batches.list({ limit: 1 })).data;
  await signIn(page);
  await page.goto(`${FALLOW_ORIGIN}/jobs/${job.id}`);
  const started = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download answers' }).click();
  const download = await started;
  assert.equal(download.suggestedFilename(), `${job.id}_output.jsonl`);
  const saved = readFileSync(await download.path(), 'utf8');
  assert.equal(saved, await (await client.files.content(job.output_file_id)).text());
}));

test('a refused file shows the lines to mend', () => withPage({}, async (page) => {
  const lines = readFileSync(batchFile, 'utf8').trimEnd().split('\n');
  lines[16] = '{"custom_id": ';
  const file = await client.files.create({ file: new File([lines.join('\n')], 'broken.jsonl'), purpose: 'batch' });
  const job = await client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
  await signIn(page);
  await page.goto(`${FALLOW_ORIGIN}/jobs/${job.id}`);
  const errors = page.getByRole('region', { name: 'Errors' });
  await errors.waitFor();
  assert.match(await errors.getByRole('row').nth(1).innerText(), /17[\s\S]*invalid_json_line/);
}));

test('the page can be walked by keyboard alone', () => withPage({}, async (page) => {
  await page.goto(FALLOW_ORIGIN);
  await page.getByLabel('API key').waitFor();
  await page.keyboard.insertText(FALLOW_KEY); // the field has the focus from the start
  await page.keyboard.press('Enter');
  await page.locator('.row-link').first().waitFor();

  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press('Tab');
  assert.equal(await focusedText(page), 'Skip to the content');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');

  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Filter jobs');
  await page.keyboard.type('Watched');
  await page.waitForFunction(() => document.querySelectorAll('.row-link').length === 1);
  await page.keyboard.press('Tab'); // the choice of states
  await page.keyboard.press('Tab'); // the job
  assert.equal(await focusedText(page), 'Watched batch');
  await page.keyboard.press('Enter');
  await page.locator('.request-row').first().waitFor();

  await page.locator('.request-row').first().focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.locator('.request-panel').waitFor();
  assert.match(await page.locator('.request-open .request-index').innerText(), /^2$/);
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => document.querySelector('.request-panel') === null);

  await page.getByRole('button', { name: /^Account/ }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Sign out' }).waitFor({ state: 'detached' });
  assert.match(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), /^Account/);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Sign out' }).waitFor();  // else Tab goes past what is not there yet
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByLabel('API key').waitFor();
}));

test('a menu hears the keyboard from the moment it is in the page', () => withPage({}, async (page) => {
  await signIn(page);
  const left = await page.evaluate(() => new Promise((resolve) => {
    const button = document.querySelector('.account-button');
    new MutationObserver((_, observer) => {
      if (!document.querySelector('#account-menu')) return;
      observer.disconnect();
      button.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
      setTimeout(() => resolve(document.querySelector('#account-menu') !== null), 50);
    }).observe(document.body, { childList: true, subtree: true });
    button.click();
  }));
  assert.equal(left, false, 'Escape closed it before it was painted');
}));

test('a job is cancelled only after a question', () => withPage({}, async (page) => {
  const job = await submitLong(client, { name: 'Cancelled batch' });
  await signIn(page);
  await page.goto(`${FALLOW_ORIGIN}/jobs/${job.id}`);
  await page.getByRole('button', { name: 'Cancel job' }).click();
  await page.keyboard.press('Escape');
  assert.match((await client.batches.retrieve(job.id)).status, /^(validating|in_progress)$/);
  await page.getByRole('button', { name: 'Cancel job' }).click();
  await page.getByRole('button', { name: 'Cancel the job' }).click();
  await page.locator('.page-head .badge').filter({ hasText: 'Cancelled' }).waitFor();
}));

test('a key made on the page lets a submitter in, who sees his own and no more', () => withPage({}, async (page) => {
  await signIn(page);
  await page.getByRole('link', { name: 'Keys' }).click();
  await page.getByLabel('Name of a new key').fill('night shift');
  await page.keyboard.press('Enter');
  const secret = page.locator('.key-secret code');
  await secret.waitFor();
  const key = await secret.innerText();
  await page.getByRole('row').filter({ hasText: 'night shift' }).waitFor();

  await withPage({}, async (other) => {
    await other.goto(`${FALLOW_ORIGIN}/#key=${key}`);
    await other.getByText('No jobs yet').waitFor();
    const entries = other.getByRole('navigation', { name: 'Pages' }).getByRole('link');
    assert.deepEqual(await entries.allInnerTexts(), ['Jobs', 'Models']);

    await page.getByRole('button', { name: 'Revoke night shift' }).click();
    await page.getByRole('button', { name: 'Revoke it' }).click();
    await page.getByRole('row').filter({ hasText: 'night shift' }).waitFor({ state: 'detached' });
    await other.getByRole('link', { name: 'Models' }).click();
    await other.getByText('Your session has ended').waitFor();
    other.problems.length = 0; // the refused call
  });
}));

test('devices and models say what they are', () => withPage({}, async (page) => {
  await signIn(page);
  await page.getByRole('link', { name: 'Devices' }).click();
  const device = page.locator('tbody tr');
  await device.waitFor();
  assert.match(await device.innerText(), /(Idle|Working)/);
  assert.match(await device.innerText(), /CPU/);
  await page.getByRole('link', { name: 'Models' }).click();
  const model = page.getByRole('article');
  await model.waitFor();
  assert.match(await model.innerText(), /field-normalizer[\s\S]*llama[\s\S]*256 tokens/);
}));

for (const size of ['wide', 'phone']) {
  for (const colorScheme of ['light', 'dark']) {
    test(`every page fits a ${size} screen in ${colorScheme} colours`, () => withPage({ size, colorScheme }, async (page) => {
      const shoot = async (name) => {
        const { scroll, client: width } = await page.evaluate(() => {
          const root = document.documentElement;
          return { scroll: root.scrollWidth, client: root.clientWidth };
        });
        assert.ok(scroll <= width, `${name}: ${scroll} px wide content in ${width} px`);
        await page.screenshot({ path: join(FALLOW_SCREENS, `${name}-${size}-${colorScheme}.png`) });
      };
      await page.goto(FALLOW_ORIGIN);
      await page.getByLabel('API key').waitFor();
      await shoot('sign-in');
      await signIn(page);
      await page.locator('.row-link').first().waitFor();
      await shoot('jobs');
      await page.getByRole('link', { name: 'Watched batch' }).click();
      await page.locator('.request-row').nth(1).click();
      await shoot('job');
      await page.locator('.requests').scrollIntoViewIfNeeded();
      await page.locator('.request-open').scrollIntoViewIfNeeded();
      await shoot('requests');
      for (const name of ['Devices', 'Models', 'Keys']) {
        await page.getByRole('link', { name, exact: true }).click();
        await page.locator('main .table, main .model').first().waitFor();
        await shoot(name.toLowerCase());
      }
    }));
  }
}

// Keeps every new value that the page's progress bar takes, in whole percent.
function recordProgress(page) {
  return page.evaluate(() => {
    window.seenProgress = [];
    const look = () => {
      const bar = document.querySelector('[role=progressbar]');
      const value = bar === null ? null : Number(bar.getAttribute('aria-valuenow'));
      if (value !== null && value !== window.seenProgress.at(-1)) window.seenProgress.push(value);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
}

async function outputOf(jobId) {
  const batch = await client.batches.retrieve(jobId);
  const lines = parseLines(await (await client.files.content(batch.output_file_id)).text());
  return new Map(lines.map((line) => [line.custom_id, line.response.body.choices[0].message.content]));
}

function focusedText(page) {
  return page.evaluate(() => document.activeElement.textContent);
}

function escape(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
