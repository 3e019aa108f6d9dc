// Chromium, and people in it: each in a context of his own, as on a device of his own.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

import { LIMIT_MS } from './process.js';

const PICTURES = fileURLToPath(new URL('../../screenshots', import.meta.url));
const QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 800 };

export async function browser(t) {
  const opened = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: QUIET });
  t.after(() => opened.close());
  return opened;
}

/** Somebody at the app; whatever goes wrong in his page fails the test. `user` is his name in chat. */
export async function person(t, on, url, { user = '', viewport = DESKTOP, colorScheme = 'light', path = '/app/' } = {}) {
  const context = await on.newContext({ viewport, colorScheme, hasTouch: viewport === PHONE, locale: 'en-GB' });
  context.setDefaultTimeout(LIMIT_MS);
  if (user) await context.addInitScript((name) => localStorage.getItem('superapp:settings') ?? localStorage.setItem('superapp:settings', JSON.stringify({ user: name })), user);
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(error));
  page.on('console', (message) => message.type() === 'error' && !/net::ERR_|Failed to load resource|WebSocket connection/.test(message.text()) && faults.push(new Error(message.text())));
  t.after(() => {
    if (faults.length > 0) throw new AggregateError(faults, `in the page of ${user || 'somebody'}: ${faults.join('; ')}`);
  });
  await page.goto(url + path);
  return {
    page,
    context,
    /** Opens a room and waits until it is live; the replica that serves it. */
    async enter(room) {
      await page.goto(`${url}/app/chat/${room}`);
      const live = page.getByText(/^Live · /);
      await live.waitFor();
      return (await live.textContent()).replace('Live · ', '');
    },
    async say(text) {
      await page.getByRole('textbox', { name: /^Message to/ }).fill(text);
      await page.keyboard.press('Enter');
    },
    /** What the room shows, from top to bottom. */
    said: () => page.getByRole('log').evaluate((log) => [...log.querySelectorAll('[data-testid=text]')].map((each) => each.textContent).reverse()),
  };
}

/** Somebody in each size and colour: `show(person, shoot)` leads through places, and `shoot(name)` takes a picture of one. */
export async function everywhere(t, url, options, show) {
  mkdirSync(PICTURES, { recursive: true });
  const chromium = await browser(t);
  for (const [size, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
    for (const colorScheme of ['light', 'dark']) {
      const somebody = await person(t, chromium, url, { viewport, colorScheme, ...options });
      const { page, context } = somebody;
      await show({ ...somebody, size }, async (name) => {
        await page.evaluate(() => document.fonts.ready);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(overflow <= 0, `${name} is ${overflow} px wider than the ${size}`);
        await page.screenshot({ path: `${PICTURES}/${size}-${colorScheme}-${name}.png` });
      });
      await context.close();
    }
  }
}
