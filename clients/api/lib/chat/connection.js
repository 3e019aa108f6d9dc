// A user's connection to chat: it is made, lost and made again; rooms and what waits to be sent live on.

import { backoff, within } from '../backoff.js';
import { createEmitter } from '../emitter.js';
import { SuperAppError, aborted } from '../errors.js';
import { onAbort } from '../signals.js';
import { onNetwork } from '../network.js';
import { createLog } from './log.js';
import { createOutbox } from './outbox.js';
import { createReads } from './reads.js';
import { createRoom } from './room.js';
import { FRAME_REFUSED, isFinal, openSocket } from './socket.js';

/** @typedef {import('./outbox.js').Waiting} Waiting */
/** @typedef {'connecting' | 'online' | 'offline' | 'closed'} Status */
/**
 * @typedef {object} StatusEvent
 * @property {Status} status
 * @property {string} [replica] Who answers, while online.
 * @property {number} [retryInMs] When it is tried again, while offline.
 * @property {string} [reason] Why it is not online.
 */
/**
 * @typedef {object} ConnectionEvents
 * @property {StatusEvent} status
 * @property {Waiting[]} outbox What waits now.
 * @property {{ id: string, error: SuperAppError }} refused A message was not taken, and is no longer tried.
 * @property {{ room: string, head: number, unread: number }} unread
 * @property {unknown} storage The storage failed; everything goes on in memory.
 */
/** @typedef {ReturnType<typeof createConnection>} Connection */

/** The room of those who name none, on the server. */
const LOBBY = 'lobby';

/**
 * @param {object} options
 * @param {string} options.user
 * @param {string} options.base
 * @param {any} options.WebSocket
 * @param {import('../clock.js').Clock} options.clock
 * @param {import('../storage.js').Storage} options.storage
 * @param {number} options.answerMs
 * @param {AbortSignal} [options.signal]
 * @param {(room: string, page: { before?: number, after?: number, limit?: number, signal?: AbortSignal }) =>
 *   Promise<import('./log.js').ChatMessage[]>} options.fetchMessages
 */
export function createConnection({ user, base, WebSocket, clock, storage, answerMs, signal, fetchMessages }) {
  /** @type {import('../emitter.js').Emitter<ConnectionEvents>} */
  const events = createEmitter();
  /** @type {Map<string, { log: ReturnType<typeof createLog>, room: import('./room.js').Room }>} */
  const rooms = new Map();
  /** @type {StatusEvent} */
  let status = { status: 'connecting' };
  /** @type {import('./socket.js').Socket | undefined} */
  let socket;
  /** @type {any} */
  let timer;
  let attempt = 0;
  /** The server's advice on when to come back. @type {number | undefined} */
  let advisedMs;
  /** @type {SuperAppError | undefined} */
  let closed;
  /** Joins without an answer, by the id they carry. @type {Map<string, string>} */
  const joins = new Map();
  let joinCount = 0;

  const onStorageError = (/** @type {unknown} */ error) => events.emit('storage', error);
  const keys = `superapp:${base}:${user}`;
  const reads = createReads(storage, `${keys}:read`, onStorageError);
  const outbox = createOutbox({
    clock,
    storage,
    key: `${keys}:outbox`,
    onChange: (waiting) => events.emit('outbox', waiting),
    onRefused: (id, error) => events.emit('refused', { id, error }),
    onStorageError,
  });

  /** @param {StatusEvent} next */
  function tell(next) {
    status = next;
    events.emit('status', next);
  }

  function open() {
    if (closed || socket) return;
    clock.clearTimeout(timer);
    tell({ status: 'connecting', reason: status.reason });
    const [first] = rooms.values();
    const after = first?.log.seq;
    const place = `&room=${first?.log.name ?? LOBBY}${after === undefined ? '' : `&after=${after}`}`;
    const url = `${base.replace(/^http/i, 'ws')}/ws?user=${encodeURIComponent(user)}&batch=true${place}`;
    let replica = '';
    const opened = openSocket({
      url,
      WebSocket,
      clock,
      answerMs,
      onFrame(frame) {
        if (frame.type === 'welcome') replica = frame.replica;
        // Joined is the room of the query, so the server is ready for the rest.
        else if (frame.type === 'joined' && status.status !== 'online') online(opened, replica, frame.room, first);
        take(frame);
      },
      onEnd: lost,
    });
    socket = opened;
  }

  /**
   * @param {import('./socket.js').Socket} opened
   * @param {string} replica
   * @param {string} entered
   * @param {{ log: unknown } | undefined} asked The room that the query named, from its place on.
   */
  function online(opened, replica, entered, asked) {
    attempt = 0;
    advisedMs = undefined;
    tell({ status: 'online', replica });
    // One that was entered while the query was under way is joined from its own place, also where it is the room of the query.
    for (const [name, room] of rooms) if (room !== asked) join(name);
    if (!rooms.has(entered)) opened.send({ type: 'leave', room: entered });
    outbox.online(opened.send);
  }

  /** @param {string} name */
  function join(name) {
    const id = `join-${(joinCount += 1)}`;
    joins.set(id, name);
    socket?.send({ type: 'join', room: name, after: rooms.get(name)?.log.seq, id });
  }

  /** @param {import('./socket.js').Frame} frame */
  function take(frame) {
    const log = rooms.get(frame.room)?.log;
    switch (frame.type) {
      case 'message':
        log?.live(/** @type {any} */ (frame));
        // Our own, seen again: its ack was lost with the connection before.
        if (frame.id !== undefined && frame.user === user) outbox.acked(/** @type {any} */ ({ ...frame, type: 'ack', duplicate: true }));
        break;
      case 'ack':
        outbox.acked(/** @type {any} */ (frame));
        break;
      case 'joined':
        log?.joined(frame.head);
        break;
      case 'gap':
        log?.gap(frame.to);
        break;
      case 'heads':
        for (const [name, head] of Object.entries(frame.rooms)) rooms.get(name)?.log.raise(head);
        break;
      case 'error':
        failed(frame);
        break;
      case 'goodbye':
        advisedMs = within(clock, frame.reconnect_after_ms);
        break;
    }
  }

  /** @param {import('./socket.js').Frame} frame */
  function failed({ id, code, detail, retry_after_ms: retryAfterMs }) {
    const error = new SuperAppError(code, detail ?? code, { retryAfterMs });
    const name = joins.get(id);
    if (name === undefined) return id === undefined ? refusal(error) : outbox.failed(id, error);
    joins.delete(id);
    if (!rooms.has(name)) return;
    if (retryAfterMs === undefined) return rooms.get(name)?.log.end(error), void rooms.delete(name);
    const asked = socket;
    clock.setTimeout(() => asked === socket && rooms.has(name) && join(name), retryAfterMs);
  }

  /** The last error about nothing in particular: where the server closes after it, that is why. @type {SuperAppError | undefined} */
  let complaint;
  /** @param {SuperAppError} error */
  function refusal(error) {
    complaint = error;
  }

  /** @param {import('./socket.js').End} end */
  function lost({ code, reason }) {
    socket = undefined;
    joins.clear();
    if (FRAME_REFUSED.includes(code)) outbox.frameRefused(reason);
    outbox.offline();
    for (const { log } of rooms.values()) log.offline();
    if (closed) return;
    if (isFinal(code)) return close(new SuperAppError(complaint?.code ?? 'refused', reason || (complaint?.message ?? 'refused')));
    complaint = undefined;
    const retryInMs = advisedMs ?? backoff(clock, attempt);
    attempt += 1;
    advisedMs = undefined;
    timer = clock.setTimeout(open, retryInMs);
    tell({ status: 'offline', retryInMs, reason: reason || `closed with ${code}` });
  }

  /** @param {SuperAppError} error Why: what waits is told so. */
  function close(error) {
    if (closed) return;
    closed = error;
    clock.clearTimeout(timer);
    forget();
    void outbox.close(error);
    for (const { log } of rooms.values()) log.end(error.code === 'closed' ? undefined : error);
    socket?.close();
    tell({ status: 'closed', reason: error.message });
  }

  /** The app is in front again, or the network is back: no use in waiting any longer. */
  function wake() {
    attempt = 0;
    if (socket) socket.probe();
    else if (!closed && status.status === 'offline') open();
  }

  /** What was begun without a network may hang until long after. */
  function networkBack() {
    if (status.status === 'connecting') socket?.fail('the network is back');
    wake();
  }

  const forgets = [onAbort(signal, () => close(aborted(signal?.reason)))];
  forgets.push(onNetwork({ lost: () => socket?.fail('there is no network'), back: networkBack }));
  const forget = () => forgets.forEach((each) => each());

  // Rooms that are entered in the same breath go into the first connection.
  void Promise.all([outbox.load(), reads.load()]).then(open);

  return {
    user,
    /** @returns {StatusEvent} */
    get status() {
      return status;
    },
    /** Messages of this user that have no ack yet, of all rooms. */
    get waiting() {
      return outbox.list();
    },

    /**
     * @template {keyof ConnectionEvents} Name
     * @param {Name} event
     * @param {(value: ConnectionEvents[Name]) => void} listener
     * @returns {() => void} What stops it.
     */
    on: (event, listener) => events.on(event, listener),

    /**
     * Enters a room: live, or after the message with the seq `after`; 0 is everything. A room that was entered is the same again.
     *
     * @param {string} name
     * @param {{ after?: number }} [options]
     * @returns {import('./room.js').Room}
     */
    room(name, { after } = {}) {
      if (closed) throw closed;
      if (!/^(?!\.{1,2}$)[a-z0-9._-]{1,64}$/.test(name)) {
        throw new SuperAppError('invalid_room', "a room's name has 1 to 64 characters of a-z 0-9 . _ - and is not . or .. alone");
      }
      const entered = rooms.get(name);
      if (entered) return entered.room;
      const fetchAfter = (/** @type {number} */ seq, /** @type {AbortSignal | undefined} */ stop) =>
        fetchMessages(name, { after: seq, limit: 200, signal: stop });
      const log = createLog({ name, after, clock, fetchAfter });
      const tellUnread = () => events.emit('unread', { room: name, head: log.head, unread: room.unread });
      const room = createRoom({
        log,
        outbox,
        reads,
        fetchBefore: (before, limit, stop) => fetchMessages(name, { before, limit, signal: stop }),
        onRead: tellUnread,
        onLeave() {
          rooms.delete(name);
          if (status.status === 'online') socket?.send({ type: 'leave', room: name });
        },
      });
      log.events.on('head', tellUnread);
      rooms.set(name, { log, room });
      if (status.status === 'online') join(name);
      return room;
    },

    /** How many messages of a room are unread, when its newest has this seq: for lists of rooms. */
    unread: (/** @type {string} */ room, /** @type {number} */ head) => Math.max(0, head - reads.seq(room)),

    /**
     * Resolves when the connection is online; rejects when it is closed, or your signal aborted.
     *
     * @param {{ signal?: AbortSignal }} [options]
     * @returns {Promise<{ replica: string }>}
     */
    ready: (options = {}) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (status.status !== 'online' && !closed && !options.signal?.aborted) return;
          undo.forEach((each) => each());
          if (status.status === 'online') resolve({ replica: status.replica ?? '' });
          else reject(closed ?? aborted(options.signal?.reason));
        };
        /** @type {(() => void)[]} */
        const undo = [];
        undo.push(events.on('status', look), onAbort(options.signal, look));
        look();
      }),

    wake,

    /** Ends it; what waits stays in the storage for the next time. */
    async close() {
      close(new SuperAppError('closed', 'the connection was closed'));
      await outbox.settled();
    },
  };
}
