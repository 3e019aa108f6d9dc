// One origin for the app and the system: what is built is served under /app/, the rest goes to the gateway.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const BUILT = fileURLToPath(new URL('../../dist/web', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.png': 'image/png', '.ttf': 'font/ttf', '.ico': 'image/x-icon', '.json': 'application/json' };

/** The URL of a server in front of the gateway. */
export async function serveApp(t, gateway) {
  assert.ok(existsSync(join(BUILT, 'index.html')), `there is no ${BUILT}: build it with npm run export:web`);
  const [host, port] = gateway.split(':');
  const server = createServer((incoming, outgoing) => {
    const { pathname } = new URL(incoming.url, 'http://app');
    if (pathname.startsWith('/app/')) return answer(pathname.slice('/app'.length), outgoing);
    const onward = request({ host, port, path: incoming.url, method: incoming.method, headers: incoming.headers }, (reply) => {
      outgoing.writeHead(reply.statusCode, reply.headers);
      reply.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
    return undefined;
  });
  server.on('upgrade', (incoming, socket, head) => {
    const onward = connect(port, host, () => {
      const headers = Object.entries(incoming.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      onward.write(`GET ${incoming.url} HTTP/1.1\r\n${headers.join('')}\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    for (const end of [socket, onward]) end.on('error', () => [socket, onward].forEach((each) => each.destroy()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

function answer(path, outgoing) {
  const file = join(BUILT, normalize(path));
  const found = existsSync(file) && statSync(file).isFile() ? file : join(BUILT, 'index.html');
  outgoing.writeHead(200, { 'content-type': TYPES[extname(found)] ?? 'application/octet-stream' });
  outgoing.end(readFileSync(found));
}
