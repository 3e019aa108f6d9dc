// A really running superapp for a test: free ports, its data in a folder of its own, killed at the end.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createClient } from 'superapp-api';

const BINARY = process.env.SUPERAPP_BIN ?? fileURLToPath(new URL('../../../../target/debug/superapp', import.meta.url));

/** How long anything may take before a test fails. */
export const LIMIT_MS = 30_000;

/**
 * Waits until something holds.
 *
 * @param {string} what
 * @param {() => unknown} condition
 */
export async function until(what, condition) {
  const end = Date.now() + LIMIT_MS;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A busy machine is slow, which is no reason to turn requests away or to leave a replica out. */
const PATIENCE = ['gateway.queue_timeout_ms=20000', 'gateway.health_timeout_ms=20000', 'gateway.connect_timeout_ms=20000'];

/**
 * @param {import('node:test').TestContext} t Who it is for; it ends with it.
 * @param {string[]} [settings] Such as `chat.rate_burst=1000`.
 */
export async function startSuperApp(t, settings = []) {
  assert.ok(existsSync(BINARY), `there is no ${BINARY}: build it with cargo build, or name one with SUPERAPP_BIN`);
  const folder = await mkdtemp(join(tmpdir(), 'superapp-api-'));
  /** @type {Record<string, string>} */
  let listens = { gateway: '127.0.0.1:0', users: '127.0.0.1:0', chat: '127.0.0.1:0,127.0.0.1:0', analytics: '127.0.0.1:0' };
  /** @type {import('node:child_process').ChildProcess} */
  let child;

  async function start() {
    const address = (/** @type {string} */ role) => (role === 'chat' ? JSON.stringify(listens.chat?.split(',')) : listens[role]);
    const all = [`data_dir=${folder}`, 'gateway.admin_listen=', ...PATIENCE, ...Object.keys(listens).map((role) => `${role}.listen=${address(role)}`), ...settings];
    // Nothing of who runs the tests leaks in.
    child = spawn(BINARY, all.flatMap((setting) => ['--set', setting]), { env: {}, stdio: ['ignore', 'ignore', 'pipe'] });
    const log = /** @type {string[]} */ ([]);
    const lines = createInterface({ input: /** @type {import('node:stream').Readable} */ (child.stderr) });
    const ready = await new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        log.push(line);
        if (line.includes('"message":"ready"')) resolve(JSON.parse(line));
      });
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`superapp ended with ${code}:\n${log.join('\n')}`)));
    });
    // It comes back on the same addresses.
    for (const role of Object.keys(listens)) listens[role] = ready[role];
  }

  async function stop(/** @type {NodeJS.Signals} */ signal) {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.removeAllListeners('exit');
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  await start();
  t.after(async () => {
    await stop('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  const url = `http://${listens.gateway}`;
  const system = {
    url,
    folder,
    get replicas() {
      return /** @type {string[]} */ (listens.chat?.split(','));
    },
    start,
    /** `kill -9` of all of it. */
    kill: () => stop('SIGKILL'),
    /** Polite: sockets are told goodbye. */
    terminate: () => stop('SIGTERM'),
    /** @param {Partial<import('superapp-api').ClientOptions>} [options] */
    client: (options = {}) => createClient({ url, ...options }),
  };
  await until('everything is well', async () => (await system.client().health()).status === 'pass');
  return system;
}
