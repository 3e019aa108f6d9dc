// The same client in Node: with a WebSocket, which Node 20 lacks, and events flushed before the process ends.

import WebSocket from 'ws';
import { createClient as createPlainClient } from './index.js';

export * from './index.js';
export { fileStorage } from './lib/node/file_storage.js';

/**
 * @param {import('./index.js').ClientOptions} options
 * @returns {import('./index.js').SuperApp}
 */
export function createClient(options) {
  const client = createPlainClient({ WebSocket, ...options });
  // Node has nothing left to do: once is enough, or a server that is away would keep the process alive.
  process.once('beforeExit', () => void client.analytics.flush().catch(() => {}));
  return client;
}
