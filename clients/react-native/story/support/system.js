// A running system with the app in front: one address serves both, as the gateway does.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '../../../api/index.js';

import { superapp, until } from './process.js';
import { postgres, redis } from './servers.js';
import { serveApp } from './web.js';

const FREE = '127.0.0.1:0';

/** Everything in one process, on SQLite; chat has two replicas in it. */
export async function allInOne(t, settings = []) {
  const data = folder(t);
  const listens = ['gateway', 'users', 'analytics'].map((role) => `${role}.listen=${FREE}`);
  const all = await superapp(t, undefined, [`data_dir=${data}`, ...listens, `chat.listen=["${FREE}","${FREE}"]`, 'gateway.admin_listen=', ...settings]);
  return front(t, all.addresses('gateway')[0], { chats: all.addresses('chat') });
}

/** A process per role and two of chat, on PostgreSQL and Redis. `kill(replica)` ends one of chat's without a word. */
export async function apart(t) {
  const shared = [`data_dir=${folder(t)}`, `database_url=${await postgres(t)}`, `redis_url=${await redis(t)}`];
  const start = (role) => superapp(t, role, [...shared, `${role}.listen=${FREE}`]);
  const [users, analytics, first, second] = await Promise.all(['users', 'analytics', 'chat', 'chat'].map(start));
  const chats = { [first.addresses('chat')[0]]: first, [second.addresses('chat')[0]]: second };
  const endpoints = { users: users.addresses('users'), analytics: analytics.addresses('analytics'), chat: Object.keys(chats) };
  const clusters = Object.entries(endpoints).map(([name, list]) => `gateway.clusters.${name}.endpoints=${JSON.stringify(list)}`);
  const gateway = await superapp(t, 'gateway', [...shared, `gateway.listen=${FREE}`, 'gateway.admin_listen=', ...clusters]);
  return { ...(await front(t, gateway.addresses('gateway')[0], { chats: Object.keys(chats) })), kill: (replica) => chats[replica].kill() };
}

async function front(t, gateway, more) {
  const url = await serveApp(t, gateway);
  const client = createClient({ url: `http://${gateway}` });
  await until('everything is well', async () => (await client.health()).status === 'pass');
  return { url, client, ...more };
}

function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'superapp-story-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
