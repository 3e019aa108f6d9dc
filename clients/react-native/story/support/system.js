// A running system whose gateway serves the app, too.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClient } from '../../../api/index.js';

import { superapp, until } from './process.js';
import { postgres, redis } from './servers.js';

const FREE = '127.0.0.1:0';
const BUILT = fileURLToPath(new URL('../../dist/web', import.meta.url));
const GATEWAY = [`gateway.listen=${FREE}`, 'gateway.admin_listen=', `gateway.app_dir=${BUILT}`];

/** Everything in one process, on SQLite; chat has two replicas in it. */
export async function allInOne(t, settings = []) {
  expectBuilt();
  const data = folder(t);
  const listens = ['users', 'analytics'].map((role) => `${role}.listen=${FREE}`);
  const all = await superapp(t, undefined, [`data_dir=${data}`, ...listens, `chat.listen=["${FREE}","${FREE}"]`, ...GATEWAY, ...settings]);
  return front(all.addresses('gateway')[0], { chats: all.addresses('chat') });
}

/** A process per role and two of chat, on PostgreSQL and Redis. `kill(replica)` ends one of chat's without a word. */
export async function apart(t) {
  expectBuilt();
  const shared = [`data_dir=${folder(t)}`, `database_url=${await postgres(t)}`, `redis_url=${await redis(t)}`];
  const start = (role) => superapp(t, role, [...shared, `${role}.listen=${FREE}`]);
  const [users, analytics, first, second] = await Promise.all(['users', 'analytics', 'chat', 'chat'].map(start));
  const chats = { [first.addresses('chat')[0]]: first, [second.addresses('chat')[0]]: second };
  const endpoints = { users: users.addresses('users'), analytics: analytics.addresses('analytics'), chat: Object.keys(chats) };
  const clusters = Object.entries(endpoints).map(([name, list]) => `gateway.clusters.${name}.endpoints=${JSON.stringify(list)}`);
  const gateway = await superapp(t, 'gateway', [...shared, ...GATEWAY, ...clusters]);
  return { ...(await front(gateway.addresses('gateway')[0], { chats: Object.keys(chats) })), kill: (replica) => chats[replica].kill() };
}

async function front(gateway, more) {
  const url = `http://${gateway}`;
  const client = createClient({ url });
  await until('everything is well', async () => (await client.health()).status === 'pass');
  return { url, client, ...more };
}

function expectBuilt() {
  assert.ok(existsSync(join(BUILT, 'index.html')), `there is no ${BUILT}: build it with npm run export:web`);
}

function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'superapp-story-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
