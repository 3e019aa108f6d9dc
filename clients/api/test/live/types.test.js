// The types of the wire against the document of a running superapp.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { generate, path } from '../../scripts/generate_types.js';
import { startSuperApp } from './superapp.js';

test('the committed types are those of the server', async (t) => {
  const { url } = await startSuperApp(t);
  const response = await fetch(`${url}/openapi.json`);
  assert.equal(response.status, 200);
  const committed = await readFile(path, 'utf8');
  assert.equal(committed, await generate(await response.json()), 'run `npm run types` against this server, and look at what changed');
});
