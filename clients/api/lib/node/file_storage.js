// A storage for Node: a file for each key in a folder of your choice.

import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * @param {string} folder Made when it is missing. One process at a time.
 * @returns {import('../storage.js').Storage}
 */
export function fileStorage(folder) {
  const path = (/** @type {string} */ key) => join(folder, `${encodeURIComponent(key)}.json`);
  return {
    async getItem(key) {
      try {
        return await readFile(path(key), 'utf8');
      } catch (error) {
        if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return null;
        throw error;
      }
    },
    async setItem(key, value) {
      await mkdir(folder, { recursive: true });
      // Whole or not at all: a process may end in the middle of a write.
      await writeFile(`${path(key)}.new`, value, { flush: true });
      await rename(`${path(key)}.new`, path(key));
    },
    removeItem: (key) => rm(path(key), { force: true }),
  };
}
