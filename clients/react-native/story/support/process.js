// The real binary, started on free ports and killed when its test ends.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

// npm runs everything in the folder of the package.
const BINARY = process.env.SUPERAPP_BIN ?? resolve('../../target/debug/superapp');

/** How long anything may take before a test fails. */
export const LIMIT_MS = 60_000;

/** Waits until something holds; gives what held. */
export async function until(what, condition) {
  const end = Date.now() + LIMIT_MS;
  for (;;) {
    const held = await condition();
    if (held) return held;
    assert.ok(Date.now() < end, `never happened: ${what}`);
    await new Promise((next) => setTimeout(next, 20));
  }
}

/** A port on which nobody listens now. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts a role, or everything; resolves when it serves, with the addresses of each role: `addresses('chat')`. */
export async function superapp(t, role, settings) {
  assert.ok(existsSync(BINARY), `there is no ${BINARY}: build it with cargo build, or name one with SUPERAPP_BIN`);
  const all = [...(role ? [role] : []), ...settings.flatMap((setting) => ['--set', setting])];
  // Nothing of who runs the tests leaks in.
  const child = spawn(BINARY, all, { env: {}, stdio: ['ignore', 'ignore', 'pipe'] });
  const log = [];
  const ready = await new Promise((serves, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      log.push(line);
      if (line.includes('"message":"ready"')) serves(JSON.parse(line));
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`superapp ended with ${code}:\n${log.join('\n')}`)));
  });
  /** `kill -9`, or another signal, and waits until it is gone. */
  async function kill(signal = 'SIGKILL') {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
  t.after(() => kill());
  return { kill, addresses: (name) => ready[name].split(',') };
}
