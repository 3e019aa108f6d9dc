// One WebSocket from its opening to its end, and whether there is still somebody at the other end.
//
// A connection may die without a word: after anything we send, something must come back within `answerMs`; and when nothing
// has come for longer than the server's heartbeat, we ask. (The server's own pings are not shown by browsers.)

/** @typedef {import('../clock.js').Clock} Clock */
/** @typedef {{ type: string, [field: string]: any }} Frame */
/** @typedef {{ code: number, reason: string }} End `code` is the WebSocket's; 1006 when it broke off. */
/** @typedef {ReturnType<typeof openSocket>} Socket */

/** Codes with which the server says that it is us who are wrong. */
export const FRAME_REFUSED = [1003, 1007, 1009];
/** @param {number} code */
export const isFinal = (code) => code >= 4500 && code <= 4999;

const SLACK_MS = 5_000;

/**
 * @param {object} options
 * @param {string} options.url
 * @param {any} options.WebSocket The class, as browsers have it.
 * @param {Clock} options.clock
 * @param {number} options.answerMs
 * @param {(frame: Frame) => void} options.onFrame
 * @param {(end: End) => void} options.onEnd Once, whatever happens.
 */
export function openSocket({ url, WebSocket, clock, answerMs, onFrame, onEnd }) {
  let silenceMs = Infinity;
  let trouble = '';
  /** @type {any} */
  let silence;
  /** @type {any} */
  let answer;
  /** @type {any} */
  let socket;
  let hasEnded = false;

  /** @param {End} how */
  function end(how) {
    if (hasEnded) return;
    hasEnded = true;
    clock.clearTimeout(silence);
    clock.clearTimeout(answer);
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      // A late error without a listener would end a Node process.
      socket.onerror = () => {};
      try {
        // Nobody may be there to answer a close frame, and `ws` would wait half a minute for it.
        if (how.code === 1006 && socket.terminate) socket.terminate();
        else socket.close(how.code === 1000 ? 1000 : undefined);
      } catch {
        // It was not open yet: closing it then is an error in some environments, and it is gone anyway.
      }
    }
    onEnd(how);
  }

  function expectAnswer() {
    answer ??= clock.setTimeout(() => end({ code: 1006, reason: `no sign of life within ${answerMs} ms` }), answerMs);
  }

  /** @param {Frame} frame */
  function send(frame) {
    if (hasEnded) return;
    socket.send(JSON.stringify(frame));
    expectAnswer();
  }

  function heard() {
    clock.clearTimeout(answer);
    answer = undefined;
    clock.clearTimeout(silence);
    if (silenceMs !== Infinity) silence = clock.setTimeout(() => send({ type: 'ping' }), silenceMs);
  }

  /** @param {string} data One frame, or several, a line each. */
  function read(data) {
    for (const line of data.split('\n')) {
      if (hasEnded) return;
      const frame = parse(line);
      if (!frame) continue;
      if (frame.type === 'welcome') silenceMs = frame.heartbeat_s * 1000 + SLACK_MS;
      heard();
      onFrame(frame);
    }
  }

  try {
    socket = new WebSocket(url);
    socket.onmessage = (/** @type {any} */ event) => read(String(event.data));
    socket.onerror = (/** @type {any} */ event) => (trouble = event?.message ?? '');
    socket.onclose = (/** @type {any} */ event) => end({ code: event?.code || 1006, reason: event?.reason || trouble });
    expectAnswer();
  } catch (error) {
    // After this function has returned, as with every other end.
    clock.setTimeout(() => end({ code: 1006, reason: String(error) }), 0);
  }

  return {
    send,
    /** Asks whether the server is there; if it is not, the socket ends. One that is being opened waits for an answer already. */
    probe: () => socket?.readyState === 1 && send({ type: 'ping' }),
    /** It is known to be lost, whatever the platform still believes. @param {string} reason */
    fail: (reason) => end({ code: 1006, reason }),
    close: () => end({ code: 1000, reason: 'closed' }),
  };
}

/**
 * @param {string} line
 * @returns {Frame | undefined}
 */
function parse(line) {
  try {
    const frame = JSON.parse(line);
    return typeof frame?.type === 'string' ? frame : undefined;
  } catch {
    // Not one of ours; a newer server may have more to say.
    return undefined;
  }
}
