// Chat against a running superapp.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSuperApp, until } from './superapp.js';
import { layWire } from './wire.js';

/** @typedef {import('superapp-api').ChatMessage} ChatMessage */

/** @param {import('superapp-api').Room} room */
function collect(room) {
  /** @type {ChatMessage[]} */
  const messages = [];
  room.on('message', (message) => messages.push(message));
  return messages;
}

/** @param {ChatMessage[]} messages */
function assertWhole(messages) {
  assert.deepEqual(messages.map(({ seq }) => seq), messages.map((_, index) => index + 1), 'each once, in order, without holes');
}

test('two clients talk over two replicas', async (t) => {
  const system = await startSuperApp(t);
  const client = system.client();
  const [ada, bob] = ['ada', 'bob'].map((user) => client.chat.connect({ user }));
  assert(ada && bob);
  t.after(() => Promise.all([ada.close(), bob.close()]));
  const [adas, bobs] = [ada.room('ops'), bob.room('ops', { after: 0 })];
  const replicas = await Promise.all([ada.ready(), bob.ready()]);
  assert.deepEqual(new Set(replicas.map(({ replica }) => replica)), new Set(system.replicas));

  const ack = await adas.send('hi');
  assert.deepEqual([ack.room, ack.seq, ack.duplicate], ['ops', 1, false]);
  for await (const message of bobs) {
    assert.deepEqual([message.user, message.text, message.seq], ['ada', 'hi', 1]);
    break;
  }
  assert.equal(bobs.unread, 1);
  bobs.markRead();
  assert.equal(bobs.unread, 0);
  const [room] = await client.chat.rooms();
  assert.deepEqual([room?.room, room?.head, bob.unread('ops', 5)], ['ops', 1, 4]);
});

test('a room that is entered while the connection is being made begins where it should', async (t) => {
  const system = await startSuperApp(t);
  const client = system.client();
  const writer = client.chat.connect({ user: 'bob' });
  await writer.room('lobby').send('before anybody listens');
  const connection = client.chat.connect({ user: 'ada' });
  t.after(() => Promise.all([writer.close(), connection.close()]));
  await new Promise((asked) => connection.on('status', ({ status }) => status === 'connecting' && asked(undefined)));
  // The room that a connection without rooms is in, live.
  const received = collect(connection.room('lobby', { after: 0 }));
  await until('it is heard', () => received.length === 1);
  await writer.room('lobby').send('and afterwards');
  await until('it goes on', () => received.length === 2);
  assertWhole(received);
});

test('a hundred messages sent while everything is killed are there once, in order', async (t) => {
  const system = await startSuperApp(t, ['chat.rate_per_second=1000']);
  const client = system.client();
  const connection = client.chat.connect({ user: 'ada' });
  t.after(() => connection.close());
  const room = connection.room('ops', { after: 0 });
  const received = collect(room);
  await connection.ready();
  const texts = Array.from({ length: 100 }, (_, index) => `message ${index}`);
  let ackedCount = 0;
  const acks = texts.map((text) => room.send(text).finally(() => (ackedCount += 1)));
  await until('thirty have their ack', () => ackedCount >= 30);
  await system.kill();
  assert(ackedCount < 100, 'it was in the middle');
  await until('it was noticed', () => connection.status.status === 'offline');
  await system.start();

  const all = await Promise.all(acks);
  assert.deepEqual(all.map(({ seq }) => seq), texts.map((_, index) => index + 1));
  await until('all were received', () => received.length >= 100);
  assertWhole(received);
  assert.deepEqual(received.map(({ text }) => text), texts);
  const log = [...(await room.history({ before: 51 })), ...(await client.chat.messages('ops', { after: 50, limit: 200 }))];
  assert.deepEqual(log.map(({ text }) => text), texts);
});

test('what is typed in airplane mode waits, and goes out once, in order', async (t) => {
  const system = await startSuperApp(t);
  const wire = await layWire(t, system.url);
  const connection = system.client({ url: wire.url }).chat.connect({ user: 'ada' });
  t.after(() => connection.close());
  const room = connection.room('ops', { after: 0 });
  const received = collect(room);
  await connection.ready();
  await room.send('before');
  // The second one is cut while it is on its way: it may have arrived or not.
  const doubtful = room.send('in doubt');
  wire.cut();
  const offline = ['one', 'two', 'three'].map((text) => room.send(text));
  assert.deepEqual(room.waiting.map(({ text }) => text), ['in doubt', 'one', 'two', 'three']);
  // Meanwhile others talk, and one of them is we, on another device.
  await system.client().chat.send('ops', { user: 'bob', text: 'where are you?' });
  await until('it was noticed', () => connection.status.status === 'offline');
  wire.mend();
  connection.wake();
  await Promise.all([doubtful, ...offline]);
  await until('all were received', () => received.length >= 6);
  assert.deepEqual(room.waiting, []);
  assertWhole(received);
  assert.deepEqual(received.filter(({ user }) => user === 'ada').map(({ text }) => text), ['before', 'in doubt', 'one', 'two', 'three']);
});

test('a connection over which nothing comes any more is found, and made anew', async (t) => {
  const system = await startSuperApp(t);
  const wire = await layWire(t, system.url);
  const connection = system.client({ url: wire.url, answerMs: 300 }).chat.connect({ user: 'ada' });
  t.after(() => connection.close());
  const room = connection.room('ops');
  await connection.ready();
  wire.hold();
  const ack = room.send('anybody there?');
  await until('it was noticed', () => connection.status.status === 'offline');
  assert.match(connection.status.reason ?? '', /no sign of life/);
  wire.mend();
  assert.equal((await ack).seq, 1);
  assert.equal((await system.client().chat.messages('ops')).length, 1);
});

test('what the server leaves out for a slow reader is read from its log', async (t) => {
  const system = await startSuperApp(t, ['chat.ring_events=16', 'chat.refill_events_max=1', 'chat.text_bytes_max=60000']);
  const wire = await layWire(t, system.url);
  const connection = system.client({ url: wire.url }).chat.connect({ user: 'ada' });
  t.after(() => connection.close());
  const room = connection.room('ops', { after: 0 });
  const received = collect(room);
  await connection.ready();
  const gap = wire.watch('"type":"gap"');
  wire.hold();
  const [replica] = system.replicas;
  // Not through the gateway, which would rightly turn away some of so much on a busy machine.
  const writer = system.client({ url: `http://${replica}` });
  const text = 'x'.repeat(59_000);
  let sent = 0;
  // Until more is said than all buffers on the way hold.
  const write = async () => {
    while (sent < 400) await writer.chat.send('ops', { user: 'bob', text: `${(sent += 1)} ${text}` });
  };
  await Promise.all(Array.from({ length: 8 }, write));
  wire.mend();
  await until('all were received', () => received.length >= sent);
  assert(gap.seen, 'the server left some out');
  assertWhole(received);

  // A loop that begins only now has it all too, from the log.
  const read = [];
  for await (const message of room) if (read.push(message) === sent) break;
  assertWhole(read);
});

test('a restart of the server is told, and nothing is lost over it', async (t) => {
  const system = await startSuperApp(t, ['chat.reconnect_after_ms=[1,50]']);
  const connection = system.client().chat.connect({ user: 'ada' });
  t.after(() => connection.close());
  const room = connection.room('ops', { after: 0 });
  const received = collect(room);
  await connection.ready();
  await room.send('before');
  /** @type {import('superapp-api').StatusEvent[]} */
  const statuses = [];
  connection.on('status', (status) => statuses.push(status));
  await system.terminate();
  await until('it was noticed', () => statuses.length > 0);
  assert.equal(statuses[0]?.status, 'offline');
  assert((statuses[0]?.retryInMs ?? 0) <= 50, 'the advice of the goodbye counts');
  await system.start();
  await room.send('after');
  await until('all were received', () => received.length >= 2);
  assertWhole(received);
});
