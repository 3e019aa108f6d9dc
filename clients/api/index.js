// The client of SuperApp: health, users, chat and analytics, in browsers, React Native and Node.

import { createAnalytics } from './lib/analytics.js';
import { createChat } from './lib/chat.js';
import { systemClock } from './lib/clock.js';
import { createHttp } from './lib/http.js';
import { defaultStorage } from './lib/storage.js';
import { createUsers } from './lib/users.js';

export { SuperAppError } from './lib/errors.js';
export { memoryStorage } from './lib/storage.js';

/** @typedef {import('./lib/openapi.js').components['schemas']} Schemas */
/** @typedef {Schemas['Status']} Health */
/** @typedef {Schemas['ChatMessage']} ChatMessage */
/** @typedef {Schemas['ChatAck']} Ack */
/** @typedef {Schemas['ChatRoom']} RoomSummary */
/** @typedef {Schemas['Analytics']} AnalyticsSummary */
/** @typedef {Schemas['Problem']} Problem */
/** @typedef {import('./lib/errors.js').FieldError} FieldError */
/** @typedef {import('./lib/errors.js').ErrorCode} ErrorCode */
/** @typedef {import('./lib/users.js').User} User */
/** @typedef {import('./lib/users.js').UserDraft} UserDraft */
/** @typedef {import('./lib/users.js').UserChange} UserChange */
/** @typedef {import('./lib/users.js').UserPage} UserPage */
/** @typedef {import('./lib/users.js').Users} Users */
/** @typedef {import('./lib/chat.js').Chat} Chat */
/** @typedef {import('./lib/chat/connection.js').Connection} Connection */
/** @typedef {import('./lib/chat/connection.js').StatusEvent} StatusEvent */
/** @typedef {import('./lib/chat/outbox.js').Waiting} Waiting */
/** @typedef {import('./lib/chat/room.js').Room} Room */
/** @typedef {import('./lib/analytics.js').Analytics} Analytics */
/** @typedef {import('./lib/storage.js').Storage} Storage */
/** @typedef {import('./lib/clock.js').Clock} Clock */

/**
 * @typedef {object} SuperApp
 * @property {string} url Where it is, without a slash at the end.
 * @property {Users} users
 * @property {Chat} chat
 * @property {Analytics} analytics
 * @property {(options?: { signal?: AbortSignal }) => Promise<Health>} health The health of every service and replica; `fail` is an
 *   answer too.
 */

/**
 * @typedef {object} ClientOptions
 * @property {string} url Where SuperApp is: `http://localhost:8080`.
 * @property {typeof globalThis.fetch} [fetch] Instead of the global one.
 * @property {any} [WebSocket] A class as browsers have it, instead of the global one.
 * @property {Storage} [storage] Where messages and events wait while offline: `localStorage` where there is one, else memory; in
 *   React Native pass AsyncStorage.
 * @property {number} [timeoutMs] How long an answer may take.
 * @property {number} [answerMs] How long a chat connection may be silent when it should answer, before it is made anew.
 * @property {{ flushAtEvents?: number, flushAfterMs?: number, waitingMax?: number }} [analytics]
 * @property {Clock} [clock] Time and chance, for tests.
 */

/**
 * @param {ClientOptions} options
 * @returns {SuperApp}
 */
export function createClient({ url, fetch, WebSocket, storage = defaultStorage(), timeoutMs, answerMs, analytics, clock = systemClock }) {
  const http = createHttp({ url, fetch, clock, timeoutMs });
  /** @type {SuperApp} */
  const client = {
    url: http.base,
    users: createUsers(http),
    chat: createChat({ http, WebSocket, storage, clock, answerMs }),
    analytics: createAnalytics({ http, storage, clock, ...analytics }),
    health: async (options = {}) => (await http.request('GET', '/', { ...options, accept: [503] })).body,
  };
  // In a browser, what was tracked last goes out with the page. Phones end a page without more than hiding it.
  if (typeof document !== 'undefined' && typeof document.addEventListener === 'function') {
    document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && client.analytics.leave());
    globalThis.addEventListener?.('pagehide', () => client.analytics.leave());
  }
  return client;
}
