// A room as one client sees it: every message once, in order, from where it entered; live, and after whatever happened.
//
// The last messages are kept in a ring. A reader has no queue but a place: what the ring no longer has is read from the
// server's log, over HTTP. So a slow reader costs no memory, and misses nothing.

import { backoff } from '../backoff.js';
import { SuperAppError } from '../errors.js';
import { createEmitter } from '../emitter.js';
import { delay, onAbort, throwIfAborted } from '../signals.js';

/** @typedef {import('../openapi.js').components['schemas']['ChatMessage']} ChatMessage */
/** @typedef {{ message: ChatMessage, joined: { head: number }, head: number, reset: { head: number }, end: SuperAppError | undefined }} RoomEvents */

const RING_MESSAGES = 500;

/**
 * @param {object} options
 * @param {string} options.name
 * @param {number} [options.after]
 * @param {import('../clock.js').Clock} options.clock
 * @param {(after: number, signal?: AbortSignal) => Promise<ChatMessage[]>} options.fetchAfter
 */
export function createLog({ name, after, clock, fetchAfter }) {
  /** @type {import('../emitter.js').Emitter<RoomEvents>} */
  const events = createEmitter();
  /** The last messages, without holes. @type {ChatMessage[]} */
  let ring = [];
  /** The last seq that was delivered; unknown until a live room is joined. */
  let cursor = after;
  /** Where readers begin. */
  let start = after;
  /** The largest seq that is known to exist. */
  let head = after ?? 0;
  /** How often the log began anew. */
  let beginnings = 0;
  /** @type {AbortController | undefined} */
  let filling;
  /** @type {{ error: SuperAppError | undefined } | undefined} */
  let ended;

  /** @param {ChatMessage} message */
  function deliver(message) {
    cursor = message.seq;
    ring.push(message);
    if (ring.length > 2 * RING_MESSAGES) ring = ring.slice(-RING_MESSAGES);
    events.emit('message', message);
  }

  /** @param {number} seq */
  function raise(seq) {
    if (seq <= head) return;
    head = seq;
    events.emit('head', head);
  }

  /** Reads what was left out from the log; live messages that come meanwhile are read there too. */
  async function fill() {
    if (filling || cursor === undefined) return;
    const controller = (filling = new AbortController());
    for (let attempt = 0; cursor < head && !controller.signal.aborted; ) {
      try {
        const messages = await fetchAfter(cursor, controller.signal);
        if (controller.signal.aborted) return;
        // A log that ends earlier than we were told was set back; the next joining says so.
        if (messages.length === 0) break;
        for (const message of messages) receive(message);
        attempt = 0;
      } catch {
        if (controller.signal.aborted) return;
        await delay(clock, backoff(clock, attempt++), controller.signal).catch(() => {});
      }
    }
    if (filling === controller) filling = undefined;
  }

  /** @param {ChatMessage} message */
  function receive(message) {
    if (cursor !== undefined && message.seq === cursor + 1) deliver(message);
    raise(message.seq);
  }

  return {
    events,
    name,
    get seq() {
      return cursor;
    },
    get head() {
      return head;
    },
    raise,

    /** @param {ChatMessage} message As it came over the socket. */
    live(message) {
      if (filling) return raise(message.seq);
      receive(message);
      if (cursor !== undefined && cursor < head) void fill();
    },

    /** @param {number} to The last of those that the server left out. */
    gap(to) {
      raise(to);
      void fill();
    },

    /** @param {number} to */
    joined(to) {
      if (cursor === undefined) {
        cursor = start = to;
      } else if (to < cursor) {
        // The log began anew, or was restored from an older copy.
        cursor = start = head = to;
        ring = [];
        beginnings += 1;
        events.emit('reset', { head: to });
      }
      raise(to);
      events.emit('joined', { head: to });
    },

    /** The connection is gone; on the next one the server begins where we are. */
    offline() {
      filling?.abort();
      filling = undefined;
    },

    /** @param {SuperAppError} [error] */
    end(error) {
      if (ended) return;
      this.offline();
      ended = { error };
      events.emit('end', error);
    },

    /**
     * Everything since the room was entered; a second loop goes on where the first one stopped.
     *
     * @param {{ after?: number, signal?: AbortSignal }} [options]
     * @returns {AsyncGenerator<ChatMessage, void, void>}
     */
    async *read({ after: from, signal } = {}) {
      let place = from;
      let seenBeginnings = beginnings;
      /** @type {ChatMessage[]} */
      let page = [];
      try {
        for (let attempt = 0; ; ) {
          throwIfAborted(signal);
          if (seenBeginnings !== beginnings) {
            seenBeginnings = beginnings;
            place = start;
            page = [];
          }
          place ??= start;
          const isBehind = place !== undefined && cursor !== undefined && place < cursor;
          const message = page.shift() ?? (isBehind ? at(/** @type {number} */ (place) + 1) : undefined);
          if (message) {
            place = message.seq;
            yield message;
            continue;
          }
          if (isBehind) {
            try {
              page = await fetchAfter(/** @type {number} */ (place), signal);
              attempt = 0;
              if (page.length > 0) continue;
            } catch (error) {
              if (!(error instanceof SuperAppError && error.isTemporary) || ended) throw error;
              await delay(clock, backoff(clock, attempt++), signal);
              continue;
            }
          }
          if (ended?.error) throw ended.error;
          if (ended) return;
          await news(signal);
        }
      } finally {
        if (from === undefined) start = place;
      }
    },
  };

  /** @param {number} seq */
  function at(seq) {
    const first = ring[0];
    return first && ring[seq - first.seq];
  }

  /**
   * Waits until there may be something to read; also when the signal is aborted.
   *
   * @param {AbortSignal} [signal]
   * @returns {Promise<void>}
   */
  function news(signal) {
    return new Promise((resolve) => {
      /** @type {(() => void)[]} */
      const undo = [];
      const done = () => {
        undo.forEach((each) => each());
        resolve();
      };
      for (const event of /** @type {const} */ (['message', 'joined', 'reset', 'end'])) undo.push(events.on(event, done));
      undo.push(onAbort(signal, done));
    });
  }
}
