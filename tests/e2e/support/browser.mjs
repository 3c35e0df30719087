// Debian's Chromium, headless, with pages that remember everything that went wrong in them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

export const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

// A browser of its own, with a new profile. `page.problems` lists console errors, page errors and failed requests.
export async function openPage({ size = 'wide', colorScheme = 'light' } = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'fallow-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.FALLOW_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: FLAGS,
    ignoreHTTPSErrors: true,
    viewport: SIZES[size],
    colorScheme,
    reducedMotion: 'reduce',
    locale: 'en-GB',
    acceptDownloads: true,
    timeout: 120_000, // to start
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(60_000); // against hanging alone
  page.problems = watch(page);
  page.end = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 20 }); // its last processes may still write
  };
  return page;
}

function watch(page) {
  const problems = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => problems.push(`page: ${error.message}`));
  page.on('requestfailed', (request) => {
    // A page that is left gives up its event stream and what it was loading; that is no failure.
    if (request.failure()?.errorText === 'net::ERR_ABORTED') return;
    problems.push(`request: ${request.method()} ${request.url()} ${request.failure()?.errorText}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) problems.push(`status ${response.status()}: ${response.request().method()} ${response.url()}`);
  });
  return problems;
}
