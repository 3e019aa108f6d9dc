// Where what waits is kept: anything with the three functions of `localStorage` or of React Native's AsyncStorage.

/**
 * @typedef {object} Storage
 * @property {(key: string) => string | null | undefined | Promise<string | null | undefined>} getItem
 * @property {(key: string, value: string) => unknown} setItem
 * @property {(key: string) => unknown} removeItem
 */

/** @returns {Storage} Kept as long as the process. */
export function memoryStorage() {
  /** @type {Map<string, string>} */
  const items = new Map();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}

/** @returns {Storage} The browser's, where there is one that may be used. */
export function defaultStorage() {
  try {
    // Even to look at it may be forbidden.
    const local = globalThis.localStorage;
    if (typeof local?.getItem === 'function') return local;
  } catch {
    // As if there were none.
  }
  return memoryStorage();
}

/**
 * A list of things with an `id` under one key. Changes are made to what is stored, one after the other, so that two tabs of a
 * browser add and remove their own and leave each other's alone.
 *
 * @template {{ id: string }} Item
 * @param {Storage} storage
 * @param {string} key
 * @param {(error: unknown) => void} onError The storage is full or forbidden; things go on in memory.
 */
export function storedList(storage, key, onError) {
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();

  /** @returns {Promise<Item[]>} */
  async function read() {
    try {
      const items = JSON.parse((await storage.getItem(key)) ?? '[]');
      return Array.isArray(items) ? items.filter((item) => typeof item?.id === 'string') : [];
    } catch (error) {
      if (!(error instanceof SyntaxError)) onError(error);
      return [];
    }
  }

  /** @param {(items: Item[]) => Item[]} change */
  function update(change) {
    last = last.then(async () => {
      const items = change(await read());
      try {
        await (items.length === 0 ? storage.removeItem(key) : storage.setItem(key, JSON.stringify(items)));
      } catch (error) {
        onError(error);
      }
    });
    return last;
  }

  return {
    read: () => last.then(read),
    /** @param {Item[]} items */
    add: (items) => update((stored) => [...stored, ...items]),
    /** @param {Iterable<string>} ids */
    remove(ids) {
      const gone = new Set(ids);
      return update((stored) => stored.filter((item) => !gone.has(item.id)));
    },
    /** Resolves when everything so far is stored. */
    settled: () => last,
  };
}
