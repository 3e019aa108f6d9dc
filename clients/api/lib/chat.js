// Rooms: live over a WebSocket, and one request at a time over HTTP.

import { newId } from './clock.js';
import { SuperAppError } from './errors.js';
import { createConnection } from './chat/connection.js';

/** @typedef {import('./openapi.js').components['schemas']} Schemas */
/** @typedef {Schemas['ChatMessage']} ChatMessage */
/** @typedef {ReturnType<typeof createChat>} Chat */

/**
 * @param {object} options
 * @param {import('./http.js').Http} options.http
 * @param {any} [options.WebSocket]
 * @param {import('./storage.js').Storage} options.storage
 * @param {import('./clock.js').Clock} options.clock
 * @param {number} [options.answerMs] How long the server may be silent when it should answer, before the connection is given up.
 */
export function createChat({ http, WebSocket, storage, clock, answerMs = 10_000 }) {
  const path = (/** @type {string} */ room) => `/chat/rooms/${encodeURIComponent(room)}/messages`;

  /**
   * A page of a room's log, ascending: the newest, or those before or after a seq.
   *
   * @param {string} room
   * @param {{ before?: number, after?: number, limit?: number, signal?: AbortSignal }} [page]
   * @returns {Promise<ChatMessage[]>}
   */
  async function messages(room, { before, after, limit, signal } = {}) {
    return (await http.request('GET', path(room), { query: { before, after, limit }, signal })).body;
  }

  return {
    messages,

    /**
     * The rooms spoken in last.
     *
     * @param {{ limit?: number, signal?: AbortSignal }} [options]
     * @returns {Promise<Schemas['ChatRoom'][]>}
     */
    rooms: async ({ limit, signal } = {}) => (await http.request('GET', '/chat/rooms', { query: { limit }, signal })).body,

    /**
     * The replica that answers: its health and counts.
     *
     * @param {{ signal?: AbortSignal }} [options]
     * @returns {Promise<Schemas['Chat']>}
     */
    status: async (options = {}) => (await http.request('GET', '/chat', options)).body,

    /**
     * Says one thing without a connection. The `id` makes it safe to repeat, which is done a few times where it may help.
     *
     * @param {string} room
     * @param {{ user: string, text: string, id?: string }} message
     * @param {{ signal?: AbortSignal }} [options]
     * @returns {Promise<Schemas['ChatAck']>}
     */
    async send(room, { user, text, id = newId(clock) }, { signal } = {}) {
      return (await http.request('POST', path(room), { body: { user, text, id }, signal, isRepeatable: true })).body;
    },

    /**
     * Connects a user; returns at once, and stays connected until it is closed or the signal aborted.
     *
     * @param {{ user: string, signal?: AbortSignal }} options
     * @returns {import('./chat/connection.js').Connection}
     */
    connect({ user, signal }) {
      const Class = WebSocket ?? globalThis.WebSocket;
      if (!Class) throw new SuperAppError('invalid_argument', 'there is no WebSocket here: pass one to createClient');
      return createConnection({ user, base: http.base, WebSocket: Class, clock, storage, answerMs, signal, fetchMessages: messages });
    },
  };
}
