// Time, chance and ids, as arguments, so that tests can choose them.

/**
 * @typedef {object} Clock
 * @property {() => number} now Milliseconds since 1970.
 * @property {() => number} random From 0 to 1.
 * @property {(work: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 */

/** @type {Clock} */
export const systemClock = {
  now: () => Date.now(),
  random: () => Math.random(),
  setTimeout: (work, ms) => globalThis.setTimeout(work, ms),
  clearTimeout: (timer) => globalThis.clearTimeout(timer),
};

/**
 * A new id for a message or an event. `crypto.randomUUID` is missing in React Native, and on pages without TLS.
 *
 * @param {Clock} clock
 * @returns {string}
 */
export function newId(clock) {
  const random = globalThis.crypto?.randomUUID;
  if (random) return random.call(globalThis.crypto);
  const word = () => Math.floor(clock.random() * 0x1_0000_0000).toString(16).padStart(8, '0');
  return `${clock.now().toString(16)}-${word()}${word()}${word()}`;
}

/**
 * A timer that does not keep a Node process alive.
 *
 * @param {Clock} clock
 * @param {() => void} work
 * @param {number} ms
 */
export function idleTimeout(clock, work, ms) {
  const timer = clock.setTimeout(work, ms);
  if (typeof timer === 'object' && timer !== null && 'unref' in timer) timer.unref();
  return timer;
}
