// How far the user has read each room, for counts of what is unread. Kept on this device: the server does not know yet.

/** @typedef {ReturnType<typeof createReads>} Reads */

/**
 * @param {import('../storage.js').Storage} storage
 * @param {string} key
 * @param {(error: unknown) => void} onStorageError
 */
export function createReads(storage, key, onStorageError) {
  /** @type {Map<string, number>} */
  const marks = new Map();
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();

  return {
    async load() {
      try {
        const stored = JSON.parse((await storage.getItem(key)) ?? '{}');
        for (const [room, seq] of Object.entries(stored)) if (typeof seq === 'number') this.raise(room, seq);
      } catch (error) {
        if (!(error instanceof SyntaxError)) onStorageError(error);
      }
    },

    /** @param {string} room */
    seq: (room) => marks.get(room) ?? 0,

    /**
     * @param {string} room
     * @param {number} seq
     */
    raise: (room, seq) => void marks.set(room, Math.max(seq, marks.get(room) ?? 0)),

    /**
     * @param {string} room
     * @param {number} seq
     */
    mark(room, seq) {
      if (seq <= this.seq(room)) return;
      this.raise(room, seq);
      const text = JSON.stringify(Object.fromEntries(marks));
      last = last.then(() => storage.setItem(key, text)).catch(onStorageError);
    },
  };
}
