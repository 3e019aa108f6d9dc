// Everything once, against a running system: npm run demo -- http://localhost:8080

import { createClient, SuperAppError } from 'superapp-api';
import { line, note, plain, table, title } from './demo/print.js';

/** @typedef {import('superapp-api').SuperApp} SuperApp */

const USERS_SHOWN = 10;
const USERS_COUNTED_MAX = 1_000;
const PATIENCE_MS = 20_000;

const url = process.argv[2] ?? process.env.SUPERAPP_URL ?? 'http://localhost:8080';
try {
  const client = createClient({ url });
  await showHealth(client);
  await showUsers(client);
  const name = await createUser(client);
  await chat(client, name);
  await count(client, name);
  console.log();
} catch (error) {
  if (!(error instanceof SuperAppError)) throw error;
  console.error(`\n${excuse(error)}`);
  process.exitCode = 1;
}

/** @param {SuperApp} client */
async function showHealth(client) {
  const health = await client.health();
  if (!health?.services) throw new SuperAppError('not_superapp', 'no health');
  title(`SuperApp ${health.version} at ${client.url}: ${health.status}`);
  const rows = Object.entries(health.services).flatMap(([service, { replicas }]) =>
    replicas.map(({ address, status, latency_ms: ms, checks = {}, error, sockets }) => {
      const parts = Object.entries(checks).map(([part, check]) => `${part} ${check.detail ?? check.status}`);
      const about = [...parts, ...(sockets === undefined ? [] : [`${sockets} sockets`]), ...(error ? [error] : [])];
      return [service, address, status, ms === undefined ? '' : `${ms} ms`, about.join(', ')];
    }),
  );
  table(['service', 'replica', 'status', 'latency', 'about'], rows);
}

/** @param {SuperApp} client */
async function showUsers(client) {
  /** @type {string[][]} */
  const newest = [];
  let count = 0;
  // The loop fetches page after page; leaving it ends that.
  for await (const user of client.users.list({ limit: 200 })) {
    count += 1;
    if (newest.length < USERS_SHOWN) newest.push([plain(user.name, 24), plain(user.email, 40), user.created_at]);
    if (count === USERS_COUNTED_MAX) break;
  }
  title(count === 0 ? 'No users in the database yet' : `Users in the database: ${count === USERS_COUNTED_MAX ? `${count} or more` : count}`);
  if (count > 0) table(['name', 'e-mail', 'created'], newest);
  if (count > newest.length) note(`these are the newest ${newest.length}`);
}

/**
 * @param {SuperApp} client
 * @returns {Promise<string>} How the new user is called in chat.
 */
async function createUser(client) {
  const name = `demo-${Date.now().toString(36)}`;
  title('A new user');
  const user = await client.users.create({ name, email: `${name}@example.com` });
  line(`${user.name} has the id ${user.id}`);
  const changed = await client.users.update(user.id, { name: 'Demo' }, { ifMatch: user.etag });
  line(`and is called ${changed.name} now, in version ${changed.etag}`);
  const refusal = await client.users.create({ name: '', email: 'nobody' }).catch((error) => error);
  line(`one without a name is refused: ${refusal.code}, ${refusal.errors.map((/** @type {any} */ each) => `${each.pointer} ${each.detail}`).join(', ')}`);
  return name;
}

/**
 * @param {SuperApp} client
 * @param {string} name
 */
async function chat(client, name) {
  title('A chat between two connections, in the room "demo"');
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const users = [name, 'echo'];
  const connections = users.map((user) => client.chat.connect({ user, signal }));
  try {
    const rooms = connections.map((connection) => connection.room('demo'));
    const replicas = await Promise.all(connections.map((connection) => connection.ready()));
    replicas.forEach(({ replica }, index) => line(`${users[index]} is on the replica ${replica}`));
    const [mine, echos] = /** @type {[import('superapp-api').Room, import('superapp-api').Room]} */ (rooms);
    const ack = await mine.send('hello from the demo');
    line(`${name} says something: message ${ack.seq} of the room, on disk`);
    for await (const message of echos.messages({ after: ack.seq - 1, signal })) {
      line(`echo reads it: "${message.text}"`);
      break;
    }
    const reply = await echos.send(`hello ${name}`);
    for await (const message of mine.messages({ after: reply.seq - 1, signal })) {
      line(`${name} reads the reply: "${message.text}"`);
      break;
    }
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
  }
}

/**
 * @param {SuperApp} client
 * @param {string} name
 */
async function count(client, name) {
  title('Events');
  client.analytics.on('flushed', ({ accepted, duplicates }) => line(`${accepted} sent in one request, ${duplicates} of them known before`));
  client.analytics.identify(name);
  for (const step of ['opened', 'looked', 'left']) client.analytics.track(`demo.${step}`, { step });
  await client.analytics.flush();
  const { totals, last_minutes: minutes } = await client.analytics.summary();
  const now = minutes.at(-1)?.count ?? 0;
  line(`${totals.events} events in all, ${now} in this minute`);
  table(['event', 'count'], Object.entries(totals.by_name).slice(0, 8).map(([event, number]) => [plain(event, 40), String(number)]));
}

/** @param {SuperAppError} error */
function excuse(error) {
  const cure = 'Name another address with `npm run demo -- http://host:port`.';
  switch (error.code) {
    case 'network':
    case 'timeout':
      return `SuperApp does not answer at ${url}.\nStart it with \`make run\` in the project's folder, then try again. ${cure}`;
    case 'not_superapp':
    case 'not_found':
      return `Something answers at ${url}, but it is not SuperApp. ${cure}`;
    case 'invalid_argument':
      return `${error.message}. ${cure}`;
    case 'aborted':
      return `The chat at ${url} did not come about within ${PATIENCE_MS / 1000} seconds. Is it well? Its health is at ${url}/.`;
    default:
      return `SuperApp at ${url} says ${error.code}: ${error.message}${error.requestId ? ` (request ${error.requestId})` : ''}`;
  }
}
