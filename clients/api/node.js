// The same client in Node: with a WebSocket, which Node 20 lacks, and events flushed before the process ends.

import WebSocket from 'ws';
import { createClient as createPlainClient } from './index.js';

export * from './index.js';
export { fileStorage } from './lib/node/file_storage.js';

/** Analytics with events that the server does not have. @type {Set<import('./index.js').Analytics>} */
const unsent = new Set();
let isListening = false;

/** Node has nothing left to do. Each gets one try, or a server that is away would keep the process alive. */
function flushBeforeExit() {
  const all = [...unsent];
  unsent.clear();
  for (const analytics of all) void analytics.flush().catch(() => {});
}

/**
 * @param {import('./index.js').ClientOptions} options
 * @returns {import('./index.js').SuperApp}
 */
export function createClient(options) {
  const client = createPlainClient({ WebSocket, ...options });
  const { analytics } = client;
  if (!isListening) process.on('beforeExit', flushBeforeExit);
  isListening = true;
  analytics.on('waiting', (count) => void (count > 0 ? unsent.add(analytics) : unsent.delete(analytics)));
  return client;
}
