// Messages that wait for their ack, in order, stored until they have it.
//
// Of each room one message is on its way at a time: were two, and the first told to come again later, the second would
// overtake it. Each carries an id of ours, so that whatever is sent twice is there once.

import { newId } from '../clock.js';
import { SuperAppError, aborted } from '../errors.js';
import { onAbort } from '../signals.js';
import { storedList } from '../storage.js';

/** @typedef {import('../openapi.js').components['schemas']['ChatAck']} Ack */
/** @typedef {{ id: string, room: string, text: string, at: string }} Waiting A message that has no ack yet; `at` is our clock's. */
/** @typedef {ReturnType<typeof createOutbox>} Outbox */

/** Messages that may wait. */
const WAITING_MAX = 1_000;

/**
 * @param {object} options
 * @param {import('../clock.js').Clock} options.clock
 * @param {import('../storage.js').Storage} options.storage
 * @param {string} options.key
 * @param {(waiting: Waiting[]) => void} options.onChange
 * @param {(id: string, error: SuperAppError) => void} options.onRefused
 * @param {(error: unknown) => void} options.onStorageError
 */
export function createOutbox({ clock, storage, key, onChange, onRefused, onStorageError }) {
  /** @type {ReturnType<typeof storedList<Waiting>>} */
  const stored = storedList(storage, key, onStorageError);
  /** @type {Waiting[]} */
  let waiting = [];
  /** Who waits for which. @type {Map<string, { resolve: (ack: Ack) => void, reject: (error: SuperAppError) => void }>} */
  const senders = new Map();
  /** The message of each room that is on its way. @type {Map<string, Waiting>} */
  const underway = new Map();
  /** Rooms that were told to come again later. @type {Map<string, any>} */
  const pauses = new Map();
  /** @type {((frame: import('./socket.js').Frame) => void) | undefined} */
  let transmit;
  /** @type {SuperAppError | undefined} */
  let closed;

  function pump() {
    for (const message of waiting) {
      if (!transmit) return;
      const { id, room, text } = message;
      if (underway.has(room) || pauses.has(room)) continue;
      underway.set(room, message);
      transmit({ type: 'send', room, text, id });
    }
  }

  /** @param {string} id */
  function take(id) {
    const message = waiting.find((each) => each.id === id);
    if (!message) return undefined;
    waiting = waiting.filter((each) => each !== message);
    if (underway.get(message.room) === message) underway.delete(message.room);
    void stored.remove([id]);
    const sender = senders.get(id);
    senders.delete(id);
    onChange(waiting);
    return sender ?? { resolve() {}, reject() {} };
  }

  /**
   * @param {string} id
   * @param {SuperAppError} error
   */
  function refuse(id, error) {
    const sender = take(id);
    if (!sender) return;
    sender.reject(error);
    onRefused(id, error);
    pump();
  }

  return {
    /** What waited when the app was closed. */
    async load() {
      const before = await stored.read();
      const known = new Set(waiting.map((message) => message.id));
      waiting = [...before.filter((message) => !known.has(message.id)), ...waiting];
      if (before.length > 0) onChange(waiting);
    },

    /** @param {string} [room] */
    list: (room) => waiting.filter((message) => room === undefined || message.room === room),

    /**
     * @param {string} room
     * @param {string} text
     * @param {{ id?: string, signal?: AbortSignal }} options
     * @returns {Promise<Ack>}
     */
    send(room, text, { id = newId(clock), signal }) {
      return new Promise((resolve, reject) => {
        if (closed) return reject(closed);
        if (signal?.aborted) return reject(aborted(signal.reason));
        if (!isUnicode(text)) return reject(new SuperAppError('invalid_text', 'the text is not valid Unicode'));
        if (waiting.length >= WAITING_MAX) return reject(new SuperAppError('outbox_full', `${WAITING_MAX} messages wait already`));
        if (senders.has(id)) return reject(new SuperAppError('invalid_argument', 'a message with this id waits already'));
        const message = { id, room, text, at: new Date(clock.now()).toISOString() };
        const forget = onAbort(signal, () => {
          // What is on its way cannot be called back: it stays until its ack, without a sender.
          senders.delete(id);
          if (underway.get(room) !== message) take(id);
          reject(aborted(signal?.reason));
        });
        senders.set(id, {
          resolve: (ack) => (forget(), resolve(ack)),
          reject: (error) => (forget(), reject(error)),
        });
        if (!waiting.some((each) => each.id === id)) {
          waiting = [...waiting, message];
          void stored.add([message]);
          onChange(waiting);
        }
        pump();
      });
    },

    /** @param {Ack} ack */
    acked(ack) {
      const sender = ack.id === undefined ? undefined : take(ack.id);
      if (!sender) return;
      sender.resolve(ack);
      pump();
    },

    /**
     * An error frame about one of ours: later, or never.
     *
     * @param {string} id
     * @param {SuperAppError} error
     */
    failed(id, error) {
      const message = waiting.find((each) => each.id === id);
      if (!message) return;
      if (error.retryAfterMs === undefined) return refuse(id, error);
      const { room } = message;
      underway.delete(room);
      const resume = () => {
        pauses.delete(room);
        pump();
      };
      pauses.set(room, clock.setTimeout(resume, error.retryAfterMs));
    },

    /** The server closed the connection because of a frame: of those on their way it was the largest. */
    frameRefused(/** @type {string} */ reason) {
      const [largest] = [...underway.values()].sort((a, b) => b.text.length - a.text.length);
      if (largest) refuse(largest.id, new SuperAppError('frame_too_large', reason || 'the server does not take this message'));
    },

    /** @param {(frame: import('./socket.js').Frame) => void} send */
    online(send) {
      transmit = send;
      pump();
    },

    /** What was on its way may or may not have arrived: it is sent again, with the same id. */
    offline() {
      transmit = undefined;
      underway.clear();
      for (const pause of pauses.values()) clock.clearTimeout(pause);
      pauses.clear();
    },

    settled: stored.settled,

    /** Nobody waits any longer; what is stored stays for the next time. */
    close(/** @type {SuperAppError} */ error) {
      closed = error;
      this.offline();
      for (const sender of [...senders.values()]) sender.reject(error);
      senders.clear();
    },
  };
}

/** Half of a pair of surrogates is no character. @param {string} text */
function isUnicode(text) {
  try {
    encodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
