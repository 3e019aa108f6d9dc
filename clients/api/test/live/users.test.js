// Users, health and errors against a running superapp.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SuperAppError, createClient } from 'superapp-api';
import { startSuperApp } from './superapp.js';
import { layWire } from './wire.js';

/** @param {Promise<unknown>} promise @returns {Promise<SuperAppError>} */
async function failure(promise) {
  const error = await promise.then(() => undefined, (reason) => reason);
  assert(error instanceof SuperAppError, `expected a SuperAppError, got ${error}`);
  return error;
}

test('users are listed over all pages, newest first, and searched', async (t) => {
  const { users } = (await startSuperApp(t)).client();
  /** @type {string[]} */
  const names = [];
  for (let index = 0; index < 25; index += 1) {
    const { name } = await users.create({ name: `User & ${index}`, email: `user${index}@example.com` });
    names.unshift(name);
  }
  /** @type {string[]} */
  const listed = [];
  for await (const { name } of users.list({ limit: 10 })) listed.push(name);
  assert.deepEqual(listed, names);
  const first = await users.page({ limit: 10, q: 'user & 1' });
  assert.deepEqual([first.users.length, typeof first.next], [10, 'string']);
  const second = await users.page({ limit: 10, q: 'user & 1', cursor: first.next });
  assert.deepEqual([second.users.length, second.next], [1, undefined], 'the search goes on with the cursor');

  const stop = new AbortController();
  const loop = (async () => {
    for await (const user of users.list({ limit: 5, signal: stop.signal })) if (user) stop.abort();
  })();
  assert.equal((await failure(loop)).code, 'aborted');
});

test('a user is changed by whom knows it, and what is wrong is told at the field', async (t) => {
  const { users } = (await startSuperApp(t)).client();
  const ada = await users.create({ name: 'Ada', email: 'ada@example.com' });
  assert.equal(ada.etag, '"1"');
  const changed = await users.update(ada.id, { name: 'Ada L.' }, { ifMatch: ada.etag });
  assert.deepEqual([changed.name, changed.email, changed.etag], ['Ada L.', 'ada@example.com', '"2"']);
  const late = await failure(users.replace(ada.id, { name: 'x', email: 'x@example.com' }, { ifMatch: ada.etag }));
  assert.deepEqual([late.code, late.status], ['precondition_failed', 412]);
  // What was read may be handed back as it is.
  const replaced = await users.replace(ada.id, { ...changed, name: 'Ada' }, { ifMatch: changed.etag });
  assert.deepEqual(await users.get(ada.id), replaced);

  const taken = await failure(users.create({ name: 'Eve', email: 'ADA@example.com' }));
  assert.deepEqual([taken.code, taken.status], ['email_taken', 409]);
  const invalid = await failure(users.create({ name: '', email: 'nobody' }));
  assert.deepEqual(invalid.errors.map(({ pointer }) => pointer), ['/name', '/email']);
  assert.equal(invalid.field('email'), 'must be an email address');
  assert.deepEqual([invalid.code, invalid.status, invalid.isTemporary, typeof invalid.requestId], ['invalid_user', 422, false, 'string']);

  await users.delete(ada.id);
  assert.equal((await failure(users.get(ada.id))).code, 'user_not_found');
  assert.equal((await failure(users.get('../chat'))).status, 400);
});

test('health says how everything is, also when it fails', async (t) => {
  const system = await startSuperApp(t);
  const health = await system.client().health();
  assert.deepEqual([health.status, health.services.chat.replicas.length], ['pass', 2]);
});

test('where nothing answers, or something else, the error says so', async (t) => {
  const system = await startSuperApp(t);
  const wire = await layWire(t, system.url);
  wire.cut();
  const cut = await failure(createClient({ url: wire.url }).health());
  assert.deepEqual([cut.code, cut.status, cut.isTemporary], ['network', 0, true]);
  wire.hold();
  const slow = createClient({ url: wire.url, timeoutMs: 50 });
  assert.equal((await failure(slow.users.create({ name: 'Ada', email: 'ada@example.com' }))).code, 'timeout');
  assert.equal((await failure(slow.health({ signal: AbortSignal.abort() }))).code, 'aborted');
  assert.equal((await failure(createClient({ url: `${system.url}/elsewhere` }).health())).code, 'not_found');
  for (const url of ['', 'ftp://host', 'http://', 'a b']) assert.throws(() => createClient({ url }), { code: 'invalid_argument' });
  assert.equal(createClient({ url: 'localhost:8080/' }).url, 'http://localhost:8080');
});
