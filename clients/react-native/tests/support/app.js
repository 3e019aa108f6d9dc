// The app as on a phone, at a system that really runs.

import AsyncStorage from '@react-native-async-storage/async-storage';
import { render, screen } from '@testing-library/react-native';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'superapp-api';

import App from '../../App';
import { superapp, until } from '../../story/support/process';

/** How long a screen may take to show something. */
export const PATIENCE = { timeout: 60_000 };

const FREE = '127.0.0.1:0';
const cleanups = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await AsyncStorage.clear();
});

/** Everything in one process. `restart` ends it without a word and starts it again, on the same addresses. */
export async function startSuperApp(settings = [], status = 'pass') {
  const t = { after: (cleanup) => cleanups.push(cleanup) };
  const data = mkdtempSync(join(tmpdir(), 'superapp-app-'));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  let listens = { gateway: FREE, users: FREE, analytics: FREE, chat: [FREE, FREE] };
  let running;
  const start = async () => {
    const own = Object.entries(listens).map(([role, address]) => `${role}.listen=${typeof address === 'string' ? address : JSON.stringify(address)}`);
    running = await superapp(t, undefined, [`data_dir=${data}`, 'gateway.admin_listen=', ...own, ...settings]);
    const [gateway, users, analytics] = ['gateway', 'users', 'analytics'].map((role) => running.addresses(role)[0]);
    listens = { gateway, users, analytics, chat: running.addresses('chat') };
  };
  await start();
  const url = `http://${listens.gateway}`;
  const client = createClient({ url });
  await until('it is as expected', async () => (await client.health()).status === status);
  return { url, client, start, kill: () => running.kill() };
}

/** Opens the app with these settings, and the tab. */
export async function openApp({ server, user = '', tab }) {
  await AsyncStorage.setItem('superapp:settings', JSON.stringify({ server, user }));
  render(<App />);
  const found = await screen.findByRole('tab', { name: tab }, PATIENCE);
  return found;
}
