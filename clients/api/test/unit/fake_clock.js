// A clock that a test moves.

/** @param {number} [chance] What `random` says. */
export function fakeClock(chance = 0.5) {
  let now = 1_767_261_600_000;
  let count = 0;
  /** @type {Map<number, { at: number, work: () => void }>} */
  const timers = new Map();
  return {
    now: () => now,
    random: () => chance,
    setTimeout: (/** @type {() => void} */ work, /** @type {number} */ ms) => (timers.set((count += 1), { at: now + ms, work }), count),
    clearTimeout: (/** @type {number} */ timer) => void timers.delete(timer),
    /** How long until each timer. */
    get waits() {
      return [...timers.values()].map(({ at }) => at - now);
    },
    /** Moves on, timer by timer, and lets promises go on in between. @param {number} ms */
    async advance(ms) {
      const end = now + ms;
      for (;;) {
        await settled();
        const due = [...timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
        if (!due) break;
        timers.delete(due[0]);
        now = due[1].at;
        due[1].work();
      }
      now = end;
    },
  };
}

/** Everything that only waits for promises has gone on. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));
