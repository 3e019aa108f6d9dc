// A piece of wire between a client and a server, which a test can cut or hold.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/**
 * @param {import('node:test').TestContext} t
 * @param {string} url Where it leads.
 */
export async function layWire(t, url) {
  const { hostname, port } = new URL(url);
  /** @type {Set<{ near: import('node:net').Socket, far: import('node:net').Socket }>} */
  const pairs = new Set();
  /** @type {'whole' | 'cut' | 'held'} */
  let state = 'whole';
  /** What the server is waited for to say. @type {{ text: string, tail: string, seen: boolean }[]} */
  const watched = [];

  const server = createServer({ pauseOnConnect: true }, (near) => {
    near.on('error', () => {});
    if (state === 'cut') return near.destroy();
    const far = connect(Number(port), hostname);
    const pair = { near, far };
    pairs.add(pair);
    far.on('error', () => {});
    far.on('data', (data) => {
      for (const each of watched) {
        const said = each.tail + data.toString('latin1');
        each.seen ||= said.includes(each.text);
        each.tail = said.slice(-each.text.length);
      }
      if (!near.write(data)) far.pause();
    });
    near.on('drain', () => state === 'whole' && far.resume());
    near.on('data', (data) => void far.write(data));
    const close = () => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    near.on('close', close);
    far.on('close', close);
    if (state === 'held') far.pause();
    else near.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const drop = () => pairs.forEach(({ near, far }) => (near.destroy(), far.destroy()));
  t.after(() => {
    drop();
    server.close();
  });

  return {
    url: `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`,
    /** Whether the server says this, from now on. @param {string} text */
    watch(text) {
      const watch = { text, tail: '', seen: false };
      watched.push(watch);
      return watch;
    },
    /** Connections: how many go through it. */
    get connections() {
      return pairs.size;
    },
    /** As in airplane mode: what is open breaks, and nothing new comes about. */
    cut() {
      state = 'cut';
      drop();
    },
    /** As in a tunnel: connections stay, and nothing comes through. */
    hold() {
      state = 'held';
      pairs.forEach(({ near, far }) => (near.pause(), far.pause()));
    },
    /** As with another network: what comes now goes through, what is held stays so. */
    replace() {
      state = 'whole';
    },
    mend() {
      state = 'whole';
      pairs.forEach(({ near, far }) => (near.resume(), far.resume()));
    },
  };
}
