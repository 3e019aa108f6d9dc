// How long to wait before trying again.

/** @typedef {import('./clock.js').Clock} Clock */

export const BASE_MS = 250;
export const CAP_MS = 15_000;

/**
 * Full jitter: anything between nothing and twice as long as the time before, so that many clients do not come back together.
 *
 * @param {Clock} clock
 * @param {number} attempt From 0.
 * @returns {number}
 */
export function backoff(clock, attempt) {
  return clock.random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 30));
}

/**
 * Somewhere between two times, as the server asks when it stops.
 *
 * @param {Clock} clock
 * @param {readonly number[]} range
 * @returns {number}
 */
export function within(clock, [from = 0, to = from]) {
  return from + clock.random() * Math.max(0, to - from);
}
