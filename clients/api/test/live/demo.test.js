// The demo, as typed.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startSuperApp } from './superapp.js';
import { layWire } from './wire.js';

const folder = fileURLToPath(new URL('../..', import.meta.url));

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<{ code: number, out: string, err: string }>}
 */
function demo(args, env = {}) {
  return new Promise((resolve) => {
    const command = ['run', '--silent', 'demo', '--', ...args];
    execFile('npm', command, { cwd: folder, env: { ...process.env, ...env } }, (error, out, err) => {
      resolve({ code: error ? Number(error.code) : 0, out, err });
    });
  });
}

test('it shows everything, as often as it is run', async (t) => {
  const system = await startSuperApp(t);
  await system.client().users.create({ name: 'Ada \u001b[31m', email: 'ada@example.com' }).catch(() => {});
  await system.client().users.create({ name: 'Grace', email: 'grace@example.com' });
  for (const args of [[system.url], []]) {
    const { code, out, err } = await demo(args, { SUPERAPP_URL: system.url });
    assert.deepEqual([code, err], [0, '']);
    for (const said of [/at http\S+: pass/, /users +127/, /Grace +grace@example.com/, /e-mail/, /echo reads it: "hello/, /reads the reply/, /3 sent/]) {
      assert.match(out, said);
    }
    for (const replica of system.replicas) assert.match(out, new RegExp(`is on the replica ${replica}`));
    assert.doesNotMatch(out, /\u001b/, 'into a pipe goes text only');
  }
});

test('who reads only its beginning sees no trouble', async (t) => {
  const system = await startSuperApp(t);
  const [out, err] = await new Promise((resolve) => {
    const command = ['-c', 'npm run --silent demo -- "$1" | head -n 2', 'sh', system.url];
    execFile('sh', command, { cwd: folder }, (_, ...said) => resolve(said));
  });
  assert.match(out, /at http\S+: pass/);
  assert.equal(err, '');
});

test('where nothing runs it says what to do', async (t) => {
  const system = await startSuperApp(t);
  const wire = await layWire(t, system.url);
  wire.cut();
  const { code, out, err } = await demo([wire.url]);
  assert.deepEqual([code, out], [1, '']);
  assert.match(err, /does not answer at http:.*\nStart it with `make run`/);
  const other = await demo([`${system.url}/elsewhere`]);
  assert.equal(other.code, 1);
  assert.match(other.err, /it is not SuperApp/);
});
