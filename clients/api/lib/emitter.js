// Listeners by name.

/**
 * @template {Record<string, any>} Events
 * @typedef {object} Emitter
 * @property {<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void) => () => void} on
 *   Calls the listener until the returned function is called.
 * @property {<Name extends keyof Events>(name: Name, value: Events[Name]) => void} emit
 */

/**
 * @template {Record<string, any>} Events
 * @returns {Emitter<Events>}
 */
export function createEmitter() {
  /** @type {Map<keyof Events, Set<(value: any) => void>>} */
  const listeners = new Map();
  return {
    on(name, listener) {
      const all = listeners.get(name) ?? new Set();
      // A wrapper, so that the same function may listen twice and leave once.
      const entry = (/** @type {any} */ value) => listener(value);
      listeners.set(name, all.add(entry));
      return () => void all.delete(entry);
    },
    emit(name, value) {
      for (const listener of [...(listeners.get(name) ?? [])]) {
        try {
          listener(value);
        } catch (error) {
          // A listener's own mistake is shown as one, and must not stop what it listens to.
          globalThis.setTimeout(() => {
            throw error;
          });
        }
      }
    },
  };
}
