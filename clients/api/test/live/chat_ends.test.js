// How chat ends, is refused, and goes on in the next process.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileStorage } from 'superapp-api';
import { startSuperApp, until } from './superapp.js';
import { layWire } from './wire.js';

const withCode = (/** @type {string} */ code) => (/** @type {any} */ error) => (assert.equal(error.code, code), true);

test('what waits when the app ends goes out with the next start', async (t) => {
  const system = await startSuperApp(t);
  const wire = await layWire(t, system.url);
  const storage = fileStorage(join(system.folder, 'state'));
  wire.cut();
  const before = system.client({ url: wire.url, storage }).chat.connect({ user: 'ada' });
  const sends = ['one', 'two', 'three'].map((text) => before.room('ops').send(text));
  const refused = sends.map((send) => assert.rejects(send, withCode('closed')));
  await before.close();
  await Promise.all(refused);
  await assert.rejects(before.ready(), withCode('closed'));
  assert.throws(() => before.room('ops'), withCode('closed'));

  wire.mend();
  const after = system.client({ url: wire.url, storage }).chat.connect({ user: 'ada' });
  t.after(() => after.close());
  const room = after.room('ops', { after: 0 });
  /** @type {string[]} */
  const texts = [];
  for await (const { text } of room) if (texts.push(text) === 3) break;
  assert.deepEqual(texts, ['one', 'two', 'three']);
  await until('nothing waits', () => after.waiting.length === 0);
  await after.close();

  const again = system.client({ url: wire.url, storage }).chat.connect({ user: 'ada' });
  t.after(() => again.close());
  await again.ready();
  assert.deepEqual(again.waiting, []);
  assert.equal((await system.client().chat.messages('ops')).length, 3);
});

test('a message that the server does not take is told, and the next ones go on', async (t) => {
  const system = await startSuperApp(t);
  const connection = system.client().chat.connect({ user: 'ada' });
  t.after(() => connection.close());
  const room = connection.room('ops');
  /** @type {string[]} */
  const refusals = [];
  connection.on('refused', ({ error }) => refusals.push(error.code));
  const sends = ['x'.repeat(9_000), '', 'x'.repeat(100_000), 'nul \0', 'half a pair \ud800', 'fine'].map((text) => room.send(text));
  const outcomes = await Promise.allSettled(sends);
  const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : outcome.value.seq));
  assert.deepEqual(codes, ['text_too_long', 'invalid_text', 'frame_too_large', 'invalid_text', 'invalid_text', 1]);
  assert.deepEqual(refusals, ['text_too_long', 'invalid_text', 'frame_too_large', 'invalid_text']);
});

test('more messages than the server takes at once go out as fast as it does, in order', async (t) => {
  const system = await startSuperApp(t, ['chat.rate_burst=5', 'chat.rate_per_second=50']);
  const connection = system.client().chat.connect({ user: 'ada' });
  t.after(() => connection.close());
  const room = connection.room('ops');
  const acks = await Promise.all(Array.from({ length: 20 }, (_, index) => room.send(`${index}`)));
  assert.deepEqual(acks.map(({ seq }) => seq), Array.from({ length: 20 }, (_, index) => index + 1));
});

test('a user or a room that cannot be is refused for good', async (t) => {
  const system = await startSuperApp(t);
  const connection = system.client().chat.connect({ user: 'no spaces please' });
  const room = connection.room('ops');
  await assert.rejects(connection.ready(), withCode('invalid_user'));
  assert.equal(connection.status.status, 'closed');
  await assert.rejects(room.send('hi'), withCode('invalid_user'));
  await assert.rejects(room.messages().next(), withCode('invalid_user'));
  const ada = system.client().chat.connect({ user: 'ada' });
  t.after(() => ada.close());
  for (const name of ['No Such Room', '.', '..', '']) assert.throws(() => ada.room(name), withCode('invalid_room'));
  assert.equal((await ada.room('...').send('fine')).seq, 1);
});

test('a signal ends what it was given to, and no more', async (t) => {
  const system = await startSuperApp(t);
  const wire = await layWire(t, system.url);
  const connection = system.client({ url: wire.url }).chat.connect({ user: 'ada' });
  t.after(() => connection.close());
  const room = connection.room('ops', { after: 0 });
  await connection.ready();

  const reading = new AbortController();
  const next = room.messages({ signal: reading.signal }).next();
  reading.abort();
  await assert.rejects(next, withCode('aborted'));

  wire.cut();
  await until('it was noticed', () => connection.status.status !== 'online');
  const sending = new AbortController();
  const [kept, withdrawn] = [room.send('kept'), room.send('withdrawn', { signal: sending.signal })];
  sending.abort();
  await assert.rejects(withdrawn, withCode('aborted'));
  await assert.rejects(connection.ready({ signal: AbortSignal.abort() }), withCode('aborted'));
  wire.mend();
  connection.wake();
  await kept;
  assert.deepEqual((await system.client().chat.messages('ops')).map(({ text }) => text), ['kept']);

  const whole = new AbortController();
  const other = system.client().chat.connect({ user: 'bob', signal: whole.signal });
  await other.ready();
  whole.abort();
  assert.equal(other.status.status, 'closed');
});

test('rooms are entered and left while connected', async (t) => {
  const system = await startSuperApp(t, ['chat.rooms_per_socket_max=3']);
  const client = system.client();
  const connection = client.chat.connect({ user: 'ada' });
  t.after(() => connection.close());
  await connection.ready();
  const rooms = ['a', 'b', 'c'].map((name) => connection.room(name, { after: 0 }));
  for (const room of rooms) await client.chat.send(room.name, { user: 'bob', text: `in ${room.name}` });
  for (const room of rooms) for await (const { text } of room) if (assert.equal(text, `in ${room.name}`) === undefined) break;
  assert.equal(connection.room('a'), rooms[0], 'the same again');
  await assert.rejects(connection.room('d').messages().next(), withCode('too_many_rooms'));
  rooms[0]?.leave();
  assert.deepEqual(await rooms[0]?.messages({ after: 1 }).next(), { done: true, value: undefined });
  await client.chat.send('d', { user: 'bob', text: 'in d' });
  for await (const { text } of connection.room('d', { after: 0 })) if (text === 'in d') break;
});
