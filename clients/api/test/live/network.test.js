// A platform that tells when its network goes and comes, as browsers do.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../lib/clock.js';
import { startSuperApp, until } from './superapp.js';
import { layWire } from './wire.js';

/** A clock on which nothing is waited for to its end: what happens, happens because of an event. */
const endless = { ...systemClock, random: () => 1, setTimeout: (/** @type {() => void} */ work) => systemClock.setTimeout(work, 2 ** 31 - 1) };

/** Lends it to one test. The connection goes first, as it takes its listeners back. */
function platform() {
  /** @type {(() => unknown)[]} */
  const undo = [];
  const events = new EventTarget();
  const replaced = {
    navigator: { onLine: true },
    addEventListener: events.addEventListener.bind(events),
    removeEventListener: events.removeEventListener.bind(events),
  };
  for (const [name, value] of Object.entries(replaced)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    undo.push(() => (before ? Object.defineProperty(globalThis, name, before) : Reflect.deleteProperty(globalThis, name)));
  }
  return {
    tell: (/** @type {'online' | 'offline'} */ name) => void events.dispatchEvent(new Event(name)),
    /** @param {import('superapp-api').Connection} connection */
    async end(connection) {
      await connection.close();
      undo.forEach((each) => each());
    },
  };
}

test('a network that goes ends the connection at once, and one that comes makes it anew at once', async (t) => {
  const { tell, end } = platform();
  const system = await startSuperApp(t);
  const wire = await layWire(t, system.url);
  const connection = system.client({ url: wire.url, clock: endless }).chat.connect({ user: 'ada' });
  t.after(() => end(connection));
  const room = connection.room('ops');
  await connection.ready();

  // Nothing comes through, but no connection is closed: only the event says so.
  wire.hold();
  tell('offline');
  assert.deepEqual([connection.status.status, connection.status.reason], ['offline', 'there is no network']);
  const sends = ['one', 'two'].map((text) => room.send(text));
  assert.deepEqual(connection.waiting.map(({ text }) => text), ['one', 'two']);

  wire.mend();
  tell('online');
  assert.equal(connection.status.status, 'connecting');
  assert.deepEqual((await Promise.all(sends)).map(({ seq }) => seq), [1, 2]);
  assert.deepEqual(connection.waiting, []);
});

test('an attempt that began without a network is not waited for', async (t) => {
  const { tell, end } = platform();
  const system = await startSuperApp(t);
  const wire = await layWire(t, system.url);
  wire.hold();
  const connection = system.client({ url: wire.url, clock: endless }).chat.connect({ user: 'ada' });
  t.after(() => end(connection));
  await until('it hangs', () => wire.connections === 1);
  // Asking to hurry is no use here, and no harm.
  connection.wake();
  wire.replace();
  tell('online');
  await connection.ready();
});

test('who was closed listens no longer', async (t) => {
  const { tell, end } = platform();
  const system = await startSuperApp(t);
  const connection = system.client().chat.connect({ user: 'ada' });
  t.after(() => end(connection));
  await connection.ready();
  await connection.close();
  /** @type {string[]} */
  const statuses = [];
  connection.on('status', ({ status }) => statuses.push(status));
  tell('offline');
  tell('online');
  assert.deepEqual([statuses, connection.status.status], [[], 'closed']);
});
