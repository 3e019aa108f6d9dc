// Events against a running superapp.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileStorage } from 'superapp-api';
import { startSuperApp, until } from './superapp.js';
import { layWire } from './wire.js';

test('events go out in batches, and those that cannot be are told', async (t) => {
  const { analytics } = (await startSuperApp(t)).client();
  /** @type {string[]} */
  const rejected = [];
  const receipts = /** @type {number[]} */ ([]);
  analytics.on('rejected', ({ event, code }) => rejected.push(`${event.name}: ${code}`));
  analytics.on('flushed', ({ accepted }) => receipts.push(accepted));
  analytics.identify('ada');
  for (let index = 0; index < 49; index += 1) analytics.track('tap', { index });
  analytics.track('not a name');
  await until('fifty are sent without being asked to', () => receipts.length > 0);
  assert.deepEqual([receipts, rejected, analytics.waiting], [[49], ['not a name: invalid_name'], 0]);
  assert.equal((await analytics.summary()).totals.by_name.tap, 49);
});

test('what was tracked offline is counted once, also after the next start', async (t) => {
  const system = await startSuperApp(t);
  const wire = await layWire(t, system.url);
  const storage = fileStorage(join(system.folder, 'state'));
  wire.cut();
  const before = system.client({ url: wire.url, storage });
  for (let index = 0; index < 10; index += 1) before.analytics.track('tap');
  await assert.rejects(before.analytics.flush(), { code: 'network' });

  // The first process has them still, and the second one too.
  const after = system.client({ url: wire.url, storage });
  wire.mend();
  await after.analytics.flush();
  await before.analytics.flush();
  assert.deepEqual([before.analytics.waiting, after.analytics.waiting], [0, 0]);
  assert.equal((await after.analytics.summary()).totals.by_name.tap, 10);
});

test('a process that ends flushes first', async (t) => {
  const system = await startSuperApp(t);
  const script = `
    import { createClient } from 'superapp-api';
    createClient({ url: '${system.url}' }).analytics.track('last_words');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: import.meta.dirname, stdio: 'inherit' });
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  assert.equal((await system.client().analytics.summary()).totals.by_name.last_words, 1);
});
