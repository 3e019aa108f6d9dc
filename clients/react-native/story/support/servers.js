// Throw-away PostgreSQL and Redis servers, from the machine's binaries, on free ports.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort, until } from './process.js';

/** How often a start is tried: the free port may be another's by the time it is used. */
const ATTEMPTS = 5;

/** A PostgreSQL that forgets everything; its URL. */
export function postgres(t) {
  return serve(t, (folder, port) => {
    const data = join(folder, 'data');
    const [run, ...first] = [...asSomebody(folder), binary('initdb')];
    execFileSync(run, [...first, `--pgdata=${data}`, '--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync']);
    const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'].flatMap((setting) => ['-c', setting]);
    return {
      command: [...asSomebody(folder), binary('postgres'), '-D', data, '-p', String(port), ...settings],
      isReady: () => succeeds(binary('pg_isready'), ['--quiet', '--host=127.0.0.1', `--port=${port}`, '--timeout=1']),
      url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    };
  });
}

/** A Redis that forgets everything; its URL. */
export function redis(t) {
  return serve(t, (folder, port) => ({
    command: ['redis-server', '--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'no'],
    isReady: () => succeeds('redis-cli', ['-h', '127.0.0.1', '-p', String(port), 'ping']),
    url: `redis://127.0.0.1:${port}`,
  }));
}

async function serve(t, prepare) {
  for (let attempt = 1; ; attempt += 1) {
    const folder = mkdtempSync(join(tmpdir(), 'superapp-story-'));
    const { command, isReady, url } = prepare(folder, await freePort());
    const child = spawn(command[0], command.slice(1), { stdio: 'ignore' });
    const ended = once(child, 'exit');
    t.after(async () => {
      // SIGINT: PostgreSQL's fast shutdown, its children included.
      child.kill('SIGINT');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    });
    await until(`${command[0]} answers`, () => isReady() || child.exitCode !== null);
    if (child.exitCode === null) return url;
    assert.ok(attempt < ATTEMPTS, `${command.join(' ')} does not start`);
  }
}

/** PostgreSQL does not run as root: then it runs as the user that its package made, who gets the folder. */
function asSomebody(folder) {
  if (process.getuid() !== 0) return [];
  execFileSync('chown', ['postgres:postgres', folder]);
  return ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'];
}

/** Where Debian and Ubuntu keep it, of the newest version; else what the PATH has. */
function binary(name) {
  const home = '/usr/lib/postgresql';
  const versions = existsSync(home) ? readdirSync(home).sort((a, b) => Number(b) - Number(a)) : [];
  return versions.map((version) => join(home, version, 'bin', name)).find((path) => existsSync(path)) ?? name;
}

function succeeds(command, parameters) {
  try {
    execFileSync(command, parameters, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
