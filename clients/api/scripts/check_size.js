// Says how large the package is, and holds that a bundler takes of it only what is used.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { rollup } from 'rollup';

const PACKED_BYTES_MAX = 60_000;
const ONE_EXPORT_BYTES_MAX = 4_000;

/** @param {string} code */
async function bundle(code) {
  const entry = {
    name: 'entry',
    resolveId: (/** @type {string} */ id) => (id === 'entry' ? id : null),
    load: (/** @type {string} */ id) => (id === 'entry' ? code : null),
  };
  const built = await rollup({
    input: 'entry',
    plugins: [entry],
    onwarn: (warning) => assert.fail(`rollup: ${warning.message}`),
  });
  const { output } = await built.generate({ format: 'es' });
  assert.equal(output.length, 1);
  return output[0];
}

const index = JSON.stringify(new URL('../index.js', import.meta.url).pathname);
const whole = await bundle(`export { createClient } from ${index};`);
// What a browser gets needs nothing of Node: an import that is left would be a warning, or listed here.
assert.deepEqual(whole.imports, []);
const one = await bundle(`export { memoryStorage } from ${index};`);
assert(one.code.length <= ONE_EXPORT_BYTES_MAX, `one small export brings ${one.code.length} bytes with it`);

const packed = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
const [about] = Array.isArray(packed) ? packed : Object.values(packed);
assert(about.size <= PACKED_BYTES_MAX, `the package has ${about.size} bytes`);
const kib = (/** @type {number} */ bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
console.log(`packed ${kib(about.size)} in ${about.files.length} files; in a bundle ${kib(whole.code.length)} of source, ${kib(gzipSync(whole.code).length)} compressed`);
console.log(`of a bundle that needs one small function: ${one.code.length} bytes`);
