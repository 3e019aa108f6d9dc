// Events: collected, sent in batches, and kept until the server has them.
//
// Each event has an id of ours, so that one that is sent again is not counted again.

import { backoff } from './backoff.js';
import { idleTimeout, newId } from './clock.js';
import { createEmitter } from './emitter.js';
import { SuperAppError } from './errors.js';
import { storedList } from './storage.js';

/** @typedef {import('./openapi.js').components['schemas']} Schemas */
/** @typedef {Schemas['EventDraft'] & { id: string }} TrackedEvent */
/**
 * @typedef {object} AnalyticsEvents
 * @property {{ event: TrackedEvent, code: string, detail: string }} rejected The server does not take this one, ever.
 * @property {{ events: TrackedEvent[] }} dropped Too many waited; these were the oldest.
 * @property {{ accepted: number, duplicates: number }} flushed
 * @property {number} waiting So many events wait now.
 * @property {unknown} storage The storage failed; everything goes on in memory.
 */
/** @typedef {ReturnType<typeof createAnalytics>} Analytics */

/** Events of one request; the server takes 1,000, of up to 8 KiB of properties each, in 5 MiB. */
const BATCH = 500;
/** A page that goes away may send this much. */
const KEEPALIVE_BYTES = 60_000;

/**
 * @param {object} options
 * @param {import('./http.js').Http} options.http
 * @param {import('./storage.js').Storage} options.storage
 * @param {import('./clock.js').Clock} options.clock
 * @param {number} [options.flushAtEvents] So many are sent at once.
 * @param {number} [options.flushAfterMs] Fewer are sent after so long.
 * @param {number} [options.waitingMax] So many wait while offline; then the oldest are dropped.
 */
export function createAnalytics({ http, storage, clock, flushAtEvents = 50, flushAfterMs = 2_000, waitingMax = 10_000 }) {
  /** @type {import('./emitter.js').Emitter<AnalyticsEvents>} */
  const events = createEmitter();
  /** @type {ReturnType<typeof storedList<TrackedEvent>>} */
  const stored = storedList(storage, `superapp:${http.base}:events`, (error) => events.emit('storage', error));
  /** @type {TrackedEvent[]} */
  let waiting = [];
  /** Written to the storage together. @type {TrackedEvent[]} */
  let unstored = [];
  /** @type {any} */
  let timer;
  let failures = 0;
  /** @type {Promise<void> | undefined} */
  let flushing;
  /** @type {string | undefined} */
  let userId;

  const loaded = stored.read().then((before) => {
    const known = new Set(waiting.map((event) => event.id));
    waiting = [...before.filter((event) => !known.has(event.id)), ...waiting];
    if (before.length === 0) return;
    events.emit('waiting', waiting.length);
    schedule(flushAfterMs);
  });

  /** @param {number} ms */
  function schedule(ms) {
    timer ??= idleTimeout(clock, () => void flush().catch(() => {}), ms);
  }

  /** @param {Iterable<string>} ids */
  function forget(ids) {
    const gone = new Set(ids);
    waiting = waiting.filter((event) => !gone.has(event.id));
    void stored.remove(gone);
    events.emit('waiting', waiting.length);
  }

  function store() {
    if (unstored.length === 0) return;
    const added = unstored;
    unstored = [];
    void stored.add(added);
  }

  /**
   * @param {TrackedEvent[]} batch
   * @param {{ keepalive?: boolean, signal?: AbortSignal }} options
   * @returns {Promise<void>}
   */
  async function post(batch, options) {
    try {
      const { body } = await http.request('POST', '/analytics/events', { body: batch, ...options });
      const { accepted, duplicates, rejected } = /** @type {Schemas['EventReceipt']} */ (body);
      forget(batch.map((event) => event.id));
      for (const { index, code, detail } of rejected) {
        const event = batch[index];
        if (event) events.emit('rejected', { event, code, detail });
      }
      events.emit('flushed', { accepted, duplicates });
    } catch (error) {
      if (!(error instanceof SuperAppError)) throw error;
      if (error.status === 413 && batch.length > 1) {
        const middle = Math.ceil(batch.length / 2);
        await post(batch.slice(0, middle), options);
        return post(batch.slice(middle), options);
      }
      // Sent again it would be refused again.
      const isHopeless = error.status >= 400 && error.status < 500 && !error.isTemporary;
      if (!isHopeless) throw error;
      forget(batch.map((event) => event.id));
      for (const event of batch) events.emit('rejected', { event, code: error.code, detail: error.message });
    }
  }

  /** @param {{ signal?: AbortSignal }} options */
  async function sendAll(options) {
    await loaded;
    clock.clearTimeout(timer);
    timer = undefined;
    try {
      while (waiting.length > 0) await post(waiting.slice(0, BATCH), options);
      failures = 0;
    } catch (error) {
      const advised = error instanceof SuperAppError ? error.retryAfterMs : undefined;
      schedule(Math.max(advised ?? 0, backoff(clock, failures++)));
      throw error;
    }
  }

  /**
   * Sends everything that waits, now. Rejects when that did not work; it is tried again later anyway.
   *
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<void>}
   */
  function flush(options = {}) {
    store();
    flushing ??= sendAll(options).finally(() => (flushing = undefined));
    return flushing;
  }

  return {
    flush,

    /** Events that the server does not have yet. */
    get waiting() {
      return waiting.length;
    },

    /**
     * Something happened. Returns at once; the event reaches the server sooner or later, and is counted once.
     *
     * @param {string} name 1 to 64 of `A–Z a–z 0–9 . _ : -`
     * @param {Record<string, unknown>} [properties]
     * @param {{ userId?: string, at?: Date, id?: string }} [options]
     */
    track(name, properties, options = {}) {
      const at = (options.at ?? new Date(clock.now())).toISOString();
      const event = { id: options.id ?? newId(clock), name, at, user_id: options.userId ?? userId, properties };
      waiting.push(event);
      unstored.push(event);
      if (waiting.length > waitingMax) {
        const dropped = waiting.slice(0, waiting.length - waitingMax);
        forget(dropped.map((each) => each.id));
        events.emit('dropped', { events: dropped });
      }
      events.emit('waiting', waiting.length);
      if (unstored.length === 1) void Promise.resolve().then(store);
      if (waiting.length === flushAtEvents) void flush().catch(() => {});
      else schedule(flushAfterMs);
    },

    /** Who does what is tracked from now on; `undefined` for nobody. */
    identify: (/** @type {string | undefined} */ id) => void (userId = id),

    /** The page or the process goes away: one last try, without waiting. What does not arrive is in the storage. */
    leave() {
      store();
      let bytes = 0;
      const batch = waiting.filter((event) => (bytes += JSON.stringify(event).length * 3) < KEEPALIVE_BYTES);
      if (batch.length > 0) void post(batch, { keepalive: true }).catch(() => {});
    },

    /**
     * `rejected` · `dropped` · `flushed` · `waiting` · `storage`
     *
     * @template {keyof AnalyticsEvents} Name
     * @param {Name} event
     * @param {(value: AnalyticsEvents[Name]) => void} listener
     * @returns {() => void} What stops it.
     */
    on: (event, listener) => events.on(event, listener),

    /**
     * Health, totals, the last minutes, and what is hot.
     *
     * @param {{ signal?: AbortSignal }} [options]
     * @returns {Promise<Schemas['Analytics']>}
     */
    summary: async (options = {}) => (await http.request('GET', '/analytics', options)).body,
  };
}
