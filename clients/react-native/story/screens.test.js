// Every screen, on a phone and on a desktop, in light and in dark. The pictures are for people to look at: screenshots/.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { everywhere } from './support/browser.js';
import { allInOne } from './support/system.js';

const PEOPLE = ['Ada Lovelace', 'Grace Hopper', 'Alan Turing', 'Katherine Johnson', 'Edsger Dijkstra', 'Barbara Liskov', 'Donald Knuth', 'Radia Perlman', 'Ken Thompson', 'Margaret Hamilton', 'Dennis Ritchie', 'Frances Allen'];
const TALK = [
  ['grace', 'Morning! The new build is on staging.'],
  ['grace', 'Can somebody look at the chat screen on a phone?'],
  ['ada', 'Already on it'],
  ['ada', 'Looks good here. Scrolling back through the history is smooth, and the unread counts are right.'],
  ['alan', 'I switched to airplane mode in the middle of a sentence. It waited and went out once, in order 👏'],
  ['grace', 'That is what I like to hear.'],
  ['ada', 'Shall we ship it?'],
  ['alan', 'Ship it! 🚀'],
];

const PLACES = [
  ['rooms', '/app/chat', (page) => page.getByRole('button', { name: /^lobby/ })],
  ['room', '/app/chat/lobby', (page) => page.getByText('Ship it! 🚀', { exact: true })],
  ['people', '/app/users', (page) => page.getByRole('button', { name: /^Ada Lovelace/ })],
  ['new-person', '/app/users/new', (page) => page.getByRole('button', { name: 'Create' })],
  ['health', '/app/health', (page) => page.getByText('All systems are healthy')],
  ['analytics', '/app/analytics', (page) => page.getByText('user.created').first()],
  ['settings', '/app/settings', (page) => page.getByLabel('Your name in chat')],
];

test('every screen shows what is there', async (t) => {
  const { url, client } = await allInOne(t, ['chat.rate_burst=1000']);
  for (const name of PEOPLE.toReversed()) await client.users.create({ name, email: `${name.toLowerCase().replace(' ', '.')}@example.com` });
  for (const [user, text] of [['alan', 'The pool is free on Thursday.']]) await client.chat.send('after-work', { user, text });
  for (const [user, text] of TALK) await client.chat.send('lobby', { user, text });
  for (let at = 1; at <= 3; at += 1) await client.chat.send('releases', { user: 'release-bot', text: `Version 0.${at}.0 is out.` });
  const [ada] = (await client.users.page({ q: 'Ada' })).users;
  const places = [...PLACES, ['person', `/app/users/${ada.id}`, (place) => place.getByText('Member since')]];

  await everywhere(t, url, { user: 'ada' }, async ({ page, size }, shoot) => {
    for (const [name, path, shown] of places) {
      await page.goto(url + path);
      await shown(page).waitFor();
      // The list beside it says the same, also where the room was opened first.
      if (name === 'room' && size === 'desktop') await page.getByText('alan: Ship it! 🚀', { exact: true }).waitFor();
      assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), 'light dark', 'scrollbars are dark where the rest is');
      await shoot(name);
    }
  });
});
