// Waiting that can be given up. React Native has no `AbortSignal.any` and no `AbortSignal.timeout`.

import { aborted } from './errors.js';

/** @typedef {import('./clock.js').Clock} Clock */

/**
 * Calls `work` when the signal is aborted, at once when it is already. Returns what undoes it.
 *
 * @param {AbortSignal | null | undefined} signal
 * @param {() => void} work
 * @returns {() => void}
 */
export function onAbort(signal, work) {
  if (!signal) return () => {};
  if (signal.aborted) {
    work();
    return () => {};
  }
  signal.addEventListener('abort', work);
  return () => signal.removeEventListener('abort', work);
}

/** @param {AbortSignal | null | undefined} signal */
export function throwIfAborted(signal) {
  if (signal?.aborted) throw aborted(signal.reason);
}

/**
 * A signal that follows another and a time limit; `why()` says which of them it was.
 *
 * @param {Clock} clock
 * @param {number} timeoutMs
 * @param {AbortSignal | null | undefined} signal
 */
export function limited(clock, timeoutMs, signal) {
  const controller = new AbortController();
  /** @type {'aborted' | 'timeout' | undefined} */
  let reason;
  /** @param {'aborted' | 'timeout'} why */
  const end = (why) => {
    reason ??= why;
    controller.abort();
  };
  const timer = clock.setTimeout(() => end('timeout'), timeoutMs);
  const forget = onAbort(signal, () => end('aborted'));
  return {
    signal: controller.signal,
    why: () => reason,
    done() {
      clock.clearTimeout(timer);
      forget();
    },
  };
}

/**
 * Waits; rejects with `aborted` as soon as the signal is.
 *
 * @param {Clock} clock
 * @param {number} ms
 * @param {AbortSignal | null} [signal]
 * @returns {Promise<void>}
 */
export function delay(clock, ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimeout(() => {
      forget();
      resolve();
    }, ms);
    const forget = onAbort(signal, () => {
      clock.clearTimeout(timer);
      reject(aborted(signal?.reason));
    });
  });
}
