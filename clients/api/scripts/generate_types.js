// lib/openapi.d.ts from the OpenAPI document of a running server, or of a file: npm run types -- http://localhost:8080

import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import openapiTypescript, { astToString } from 'openapi-typescript';

export const path = fileURLToPath(new URL('../lib/openapi.d.ts', import.meta.url));

/**
 * The shapes only: with paths and examples the declarations would be larger than the client.
 *
 * @param {any} document
 * @returns {Promise<string>}
 */
export async function generate({ openapi, info, components }) {
  const schemas = JSON.parse(JSON.stringify(components.schemas), (key, value) => (key === 'examples' && Array.isArray(value) ? undefined : value));
  const tree = await openapiTypescript({ openapi, info, components: { schemas }, paths: {} }, { emptyObjectsUnknown: true, silent: true });
  return `// Made by \`npm run types\` from the server's OpenAPI document: not to be edited.\n\n${astToString(tree)}`;
}

/** @param {string} place */
async function read(place) {
  if (!/^https?:/.test(place)) return JSON.parse(await readFile(place, 'utf8'));
  const response = await fetch(`${place}/openapi.json`);
  if (!response.ok) throw new Error(`${place}/openapi.json answers ${response.status}`);
  return response.json();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(path, await generate(await read(process.argv[2] ?? process.env.SUPERAPP_URL ?? 'http://localhost:8080')));
}
