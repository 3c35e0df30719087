// A live coordinator and agent in a temporary folder, with the demo model added: what the tests talk to.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 60_000;
const LOG_TAIL_CHARACTERS = 4000;

export class Stack {
  #folder = mkdtempSync(join(tmpdir(), 'fallow-e2e-'));
  #programs = [];

  constructor(binFolder) {
    this.bin = binFolder;
  }

  get caFile() {
    return join(this.#folder, 'ca.pem');
  }

  async start() {
    const ready = join(this.#folder, 'ready.json');
    const coordinator = this.#spawn('fallow-coordinator', [
      '--data-dir', join(this.#folder, 'coordinator'), '--listen', '127.0.0.1:0', '--ready-file', ready,
    ]);
    const { sign_in_link, join_link } = await this.#waitForReady(ready, coordinator);
    this.signInLink = sign_in_link;
    this.joinLink = join_link;
    this.origin = new URL(sign_in_link).origin;
    const fields = new URLSearchParams(new URL(sign_in_link).hash.slice(1));
    this.key = fields.get('key');
    await this.#fetchAuthority(fields.get('pin'));
  }

  async startAgent() {
    const state = join(this.#folder, 'agent');
    const joined = this.#spawn('fallow-agent', ['join', this.joinLink, '--state-dir', state], 'join');
    const code = await joined.exited;
    if (code !== 0) throw new Error(`fallow-agent join ended with ${code}\n${this.logs()}`);
    this.#spawn('fallow-agent', ['run', '--dedicated', '--backend', 'cpu', '--state-dir', state]);
  }

  async addModel(name, file) {
    const reply = await this.#send('PUT', `/api/models/${name}`, {
      'content-type': 'application/octet-stream', 'content-length': statSync(file).size,
    }, createReadStream(file));
    if (reply.status !== 200) throw new Error(`adding ${name}: status ${reply.status}: ${reply.text}`);
  }

  // The end of everything the programs said.
  logs() {
    return this.#programs.map(({ name, log }) => `--- ${name}\n${readFileSync(log, 'utf8').slice(-LOG_TAIL_CHARACTERS)}`).join('\n');
  }

  async stop() {
    for (const { child } of [...this.#programs].reverse()) await end(child);
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20 });
  }

  #spawn(program, args, name = program) {
    const log = join(this.#folder, `${name}.log`);
    const out = openSync(log, 'a');
    const child = spawn(join(this.bin, program), args, { stdio: ['ignore', out, out] });
    closeSync(out);
    child.exited = new Promise((resolve, reject) => {
      child.once('exit', (code, signal) => resolve(signal ?? code));
      child.once('error', reject);
    });
    child.exited.catch(() => {}); // whoever waits for it sees the error
    this.#programs.push({ name, log, child });
    return child;
  }

  async #waitForReady(file, coordinator) {
    const deadline = Date.now() + START_LIMIT_MS;
    let ended = null;
    coordinator.exited.then((code) => { ended = code; }, (error) => { ended = error.message; });
    while (Date.now() < deadline && ended === null) {
      try {
        return JSON.parse(readFileSync(file, 'utf8'));
      } catch {
        await sleep(20); // not there, or not whole
      }
    }
    throw new Error(`fallow-coordinator is not ready (${ended === null ? 'too slow' : `ended with ${ended}`})\n${this.logs()}`);
  }

  // Fetches the authority without trust and keeps it only if it is the one the link names.
  async #fetchAuthority(pin) {
    const reply = await this.#send('GET', '/ca.pem', {}, null, { rejectUnauthorized: false });
    const der = Buffer.from(reply.text.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    const found = createHash('sha256').update(der).digest('hex');
    if (found !== pin) throw new Error(`/ca.pem has the digest ${found}, the sign-in link says ${pin}`);
    writeFileSync(this.caFile, reply.text);
    this.ca = reply.text;
  }

  #send(method, path, headers, body, tls = { ca: this.ca }) {
    return new Promise((resolve, reject) => {
      const call = request(new URL(path, this.origin), {
        method, agent: false, ...tls,
        headers: { ...(this.ca ? { authorization: `Bearer ${this.key}` } : {}), ...headers },
      }, async (reply) => {
        let text = '';
        for await (const piece of reply.setEncoding('utf8')) text += piece;
        resolve({ status: reply.statusCode, text });
      });
      call.on('error', reject);
      if (body) body.on('error', reject).pipe(call);
      else call.end();
    });
  }
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await child.exited;
  clearTimeout(late);
}
