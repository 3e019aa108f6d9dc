// Waiting, errors and the storage, without a server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff, within } from '../../lib/backoff.js';
import { fromProblem } from '../../lib/errors.js';
import { createHttp } from '../../lib/http.js';
import { memoryStorage, storedList } from '../../lib/storage.js';
import { createAnalytics } from '../../lib/analytics.js';
import { fakeClock, settled } from './fake_clock.js';

test('waits grow, at random, up to a limit', () => {
  const waits = (/** @type {number} */ chance) => [0, 1, 2, 10, 1_000].map((attempt) => backoff(fakeClock(chance), attempt));
  assert.deepEqual(waits(0), [0, 0, 0, 0, 0]);
  assert.deepEqual(waits(1), [250, 500, 1_000, 15_000, 15_000]);
  assert.deepEqual([within(fakeClock(0), [700, 9_000]), within(fakeClock(1), [700, 9_000])], [700, 9_000]);
});

test('a problem becomes an error with its code, and what is no problem too', () => {
  const problem = { code: 'invalid_user', detail: 'some', errors: [{ pointer: '/email', code: 'invalid_value', detail: 'bad' }], request_id: 'r' };
  const error = fromProblem(422, problem, {});
  assert.deepEqual([error.code, error.status, error.field('email'), error.field('name'), error.requestId], ['invalid_user', 422, 'bad', undefined, 'r']);
  assert.equal(fromProblem(502, undefined, {}).code, 'unavailable');
  assert.equal(fromProblem(404, '<html>', {}).code, 'not_superapp');
});

/** @param {(() => Response)[]} answers */
function server(answers) {
  /** @type {any[]} */
  const bodies = [];
  const fetch = async (/** @type {any} */ _, /** @type {any} */ init) => {
    bodies.push(init.body && JSON.parse(init.body));
    return (answers.shift() ?? answer(202, { accepted: 1, duplicates: 0, rejected: [] }))();
  };
  return { bodies, fetch };
}

/** @param {number} status @param {unknown} body @param {Record<string, string>} [headers] */
const answer = (status, body, headers) => () => new Response(JSON.stringify(body), { status, headers });

test('a GET is repeated when the server says so, a POST is not', async () => {
  const clock = fakeClock();
  const busy = answer(503, { code: 'overloaded' }, { 'retry-after': '2' });
  const { fetch, bodies } = server([busy, answer(200, []), busy]);
  const http = createHttp({ url: 'http://x', fetch, clock });
  const got = http.request('GET', '/users');
  await clock.advance(1_999);
  assert.equal(bodies.length, 1);
  await clock.advance(1);
  assert.deepEqual((await got).body, []);
  await assert.rejects(http.request('POST', '/users', { body: {} }), { code: 'overloaded', retryAfterMs: 2_000 });
});

test('events wait for each other, and for the server where it asks for it', async () => {
  const clock = fakeClock(0);
  const busy = answer(503, { code: 'overloaded' }, { 'retry-after': '7' });
  const { fetch, bodies } = server([busy]);
  const storage = memoryStorage();
  const analytics = createAnalytics({ http: createHttp({ url: 'http://x', fetch, clock }), storage, clock });
  for (const name of ['a', 'b']) analytics.track(name);
  await clock.advance(1_999);
  assert.equal(bodies.length, 0);
  await clock.advance(1);
  assert.equal(bodies.length, 1);
  await clock.advance(6_999);
  assert.equal(bodies.length, 1, 'Retry-After counts');
  await clock.advance(1);
  assert.deepEqual(bodies[1], bodies[0], 'the same ids, so that nothing is counted twice');
  assert.equal(analytics.waiting, 0);
  await settled();
  assert.equal(await storage.getItem('superapp:http://x:events'), null);
});

test('too many events drop the oldest, and say so', async () => {
  const clock = fakeClock();
  const analytics = createAnalytics({ http: createHttp({ url: 'http://x', ...server([]), clock }), storage: memoryStorage(), clock, waitingMax: 2 });
  /** @type {string[]} */
  const dropped = [];
  analytics.on('dropped', ({ events }) => dropped.push(...events.map(({ name }) => name)));
  for (const name of ['a', 'b', 'c']) analytics.track(name);
  assert.deepEqual([dropped, analytics.waiting], [['a'], 2]);
});

test('two lists over one storage leave each other alone', async () => {
  const storage = memoryStorage();
  const fail = (/** @type {unknown} */ error) => assert.fail(String(error));
  const lists = [storedList(storage, 'k', fail), storedList(storage, 'k', fail)];
  await lists[0]?.add([{ id: 'a' }]);
  await lists[1]?.add([{ id: 'b' }]);
  await lists[0]?.remove(['a']);
  assert.deepEqual(await lists[0]?.read(), [{ id: 'b' }]);
  await storage.setItem('k', 'no JSON');
  assert.deepEqual(await lists[0]?.read(), []);
});
