// A room as an app uses it.

/** @typedef {import('../openapi.js').components['schemas']['ChatMessage']} ChatMessage */
/** @typedef {import('./outbox.js').Ack} Ack */
/** @typedef {import('./log.js').RoomEvents} RoomEvents */
/** @typedef {ReturnType<typeof createRoom>} Room */

/**
 * @param {object} options
 * @param {ReturnType<typeof import('./log.js').createLog>} options.log
 * @param {import('./outbox.js').Outbox} options.outbox
 * @param {import('./reads.js').Reads} options.reads
 * @param {(before: number | undefined, limit: number | undefined, signal?: AbortSignal) => Promise<ChatMessage[]>} options.fetchBefore
 * @param {() => void} options.onRead
 * @param {() => void} options.onLeave
 */
export function createRoom({ log, outbox, reads, fetchBefore, onRead, onLeave }) {
  const { name } = log;
  const room = {
    name,
    /** The seq of the last message that came; 0 before the first. */
    get seq() {
      return log.seq ?? 0;
    },
    /** The seq of the newest message that is known to exist. */
    get head() {
      return log.head;
    },
    /** How many messages are beyond what {@link markRead} was told. */
    get unread() {
      return Math.max(0, log.head - reads.seq(name));
    },
    /** Messages of this user here that have no ack yet, in order. */
    get waiting() {
      return outbox.list(name);
    },

    /**
     * `message` each once and in order · `joined` with the room's head · `head` there is a newer message · `reset` the log began
     * anew: forget what you show · `end` the room was left, or the connection refused.
     *
     * @template {keyof RoomEvents} Name
     * @param {Name} event
     * @param {(value: RoomEvents[Name]) => void} listener
     * @returns {() => void} What stops it.
     */
    on: (event, listener) => log.events.on(event, listener),

    /**
     * Says something. Resolves when it is durable and has its place; offline it waits, also over a restart of the app, and goes
     * out once, in order. With `signal` you stop waiting; what is not on its way yet is not sent.
     *
     * @param {string} text
     * @param {{ id?: string, signal?: AbortSignal }} [options]
     * @returns {Promise<Ack>}
     */
    send: (text, options = {}) => outbox.send(name, text, options),

    /**
     * Everything since the room was entered, for ever; a second loop goes on where the first one stopped, or begins after `after`.
     *
     * @param {{ after?: number, signal?: AbortSignal }} [options]
     */
    messages: (options = {}) => log.read(options),

    /** `for await (const message of room)` */
    [Symbol.asyncIterator]: () => log.read(),

    /**
     * What was said before: upwards a page at a time, ascending within it; without `before` the newest.
     *
     * @param {{ before?: number, limit?: number, signal?: AbortSignal }} [options]
     */
    history: ({ before, limit, signal } = {}) => fetchBefore(before, limit, signal),

    /** The user has read up to here; without a `seq`, everything. */
    markRead(seq = log.head) {
      reads.mark(name, seq);
      onRead();
    },

    leave() {
      log.end();
      onLeave();
    },
  };
  // Older Hermes has no such symbol; Babel's loops look for this name then.
  if (Symbol.asyncIterator === undefined) Object.assign(room, { '@@asyncIterator': () => log.read() });
  return room;
}
