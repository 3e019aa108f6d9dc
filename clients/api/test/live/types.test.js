// The types of the wire against the document of a running superapp.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { generate, path } from '../../scripts/generate_types.js';
import { startSuperApp, until } from './superapp.js';

test('the committed types are those of the server', async (t) => {
  const { url } = await startSuperApp(t);
  // The gateway asks each backend for its part once it is well.
  /** @type {{ paths: Record<string, unknown> } | undefined} */
  let document;
  await until('every backend is described', async () => {
    const response = await fetch(`${url}/openapi.json`);
    document = response.ok ? /** @type {any} */ (await response.json()) : undefined;
    return ['/users', '/chat', '/analytics'].every((path) => document?.paths[path]);
  });
  const committed = await readFile(path, 'utf8');
  assert.equal(committed, await generate(document), 'run `npm run types` against this server, and look at what changed');
});
