// Two people at two browsers, on two replicas of chat, in the built app.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PHONE, browser, person } from './support/browser.js';
import { until } from './support/process.js';
import { allInOne, apart } from './support/system.js';

test('two people on two replicas see each other at once', async (t) => {
  const { url, chats } = await allInOne(t);
  const chromium = await browser(t);
  const ada = await person(t, chromium, url, { user: 'ada' });
  const bob = await person(t, chromium, url, { user: 'bob', viewport: PHONE });
  const replicas = [await ada.enter('lobby'), await bob.enter('lobby')];
  assert.deepEqual(replicas.toSorted(), chats.toSorted(), 'each is on a replica of his own');

  await bob.page.evaluate(watchFor, 'hello bob');
  await ada.page.evaluate(watchForEnter);
  await ada.say('hello bob');
  const [sent, seen] = await Promise.all([ada.page.evaluate(() => window.sent), bob.page.evaluate(() => window.seen)]);
  t.diagnostic(`from Enter to the other screen: ${(seen - sent).toFixed(0)} ms`);

  await bob.say('hello ada');
  await until('both show both', async () => (await ada.said()).length === 2 && (await bob.said()).length === 2);
  assert.deepEqual(await ada.said(), ['hello bob', 'hello ada']);
  assert.deepEqual(await bob.said(), ['hello bob', 'hello ada']);
});

test('what is not read yet is counted, until it is read', async (t) => {
  const { url, client } = await allInOne(t);
  const chromium = await browser(t);
  const ada = await person(t, chromium, url, { user: 'ada', viewport: PHONE });
  await ada.enter('lobby');
  await ada.page.getByRole('button', { name: 'Back' }).click();
  await ada.page.getByRole('button', { name: 'lobby, nothing unread' }).waitFor();
  for (const text of ['one', 'two', 'three']) await client.chat.send('lobby', { user: 'bob', text });
  await ada.page.getByRole('tab', { name: 'Chat, 3 unread' }).waitFor();
  await ada.page.getByRole('button', { name: 'lobby, 3 unread' }).click();
  await until('all are shown', async () => (await ada.said()).length === 3);
  await ada.page.getByRole('button', { name: 'Back' }).click();
  await ada.page.getByRole('button', { name: 'lobby, nothing unread' }).waitFor();
  // Also after coming back another day.
  await ada.page.reload();
  await ada.page.getByRole('button', { name: 'lobby, nothing unread' }).waitFor();
});

test('history comes page by page as one scrolls up, each message once', async (t) => {
  const { url, client } = await allInOne(t);
  const texts = Array.from({ length: 130 }, (_, at) => `message ${at + 1}`);
  for (const text of texts) await client.chat.send('lobby', { user: 'bob', text });
  const chromium = await browser(t);
  const ada = await person(t, chromium, url, { user: 'ada' });
  await ada.enter('lobby');
  await ada.page.getByText('message 130', { exact: true }).last().waitFor();
  const seen = new Set();
  await until('the first message', async () => {
    await ada.page.getByRole('log').hover();
    await ada.page.mouse.wheel(0, -700);
    const said = await ada.said();
    assert.equal(new Set(said).size, said.length, 'each is there once');
    for (const text of said) seen.add(text);
    return (await ada.page.getByText('This is where it began.').count()) > 0 && seen.has('message 1');
  });
  assert.equal(seen.size, texts.length);
});

test('a replica is killed while both write: nothing is lost on screen and nothing is doubled', async (t) => {
  const { url, kill } = await apart(t);
  const chromium = await browser(t);
  const ada = await person(t, chromium, url, { user: 'ada' });
  const bob = await person(t, chromium, url, { user: 'bob' });
  const [first, second] = [await ada.enter('lobby'), await bob.enter('lobby')];
  assert.notEqual(first, second, 'each is on a replica of his own');

  const texts = { ada: [], bob: [] };
  for (let at = 1; at <= 12; at += 1) {
    if (at === 5) await kill(first);
    texts.ada.push(`ada ${at}`);
    texts.bob.push(`bob ${at}`);
    await ada.say(`ada ${at}`);
    await bob.say(`bob ${at}`);
  }
  for (const { page } of [ada, bob]) {
    await until('all have their place', async () => (await page.getByRole('img', { name: 'Sent' }).count()) === 12);
    await until('everything is shown', async () => (await page.getByTestId('text').count()) === 24);
  }
  const said = await ada.said();
  assert.deepEqual(said, await bob.said(), 'both see the same');
  for (const name of ['ada', 'bob']) {
    assert.deepEqual(said.filter((text) => text.startsWith(name)), texts[name], `${name}'s are all there, once, in order`);
  }
  assert.equal((await ada.page.getByText(/^Live · /).textContent()).replace('Live · ', ''), second, 'she is on the other replica now');
});

test('in airplane mode what is written waits, goes out once, in order', async (t) => {
  // Nothing comes by itself whose absence could be noticed: it is the browser that says that its network is gone.
  const { url, client } = await allInOne(t, ['chat.heartbeat_s=3600', 'chat.silence_s=7200']);
  const chromium = await browser(t);
  const ada = await person(t, chromium, url, { user: 'ada' });
  const bob = await person(t, chromium, url, { user: 'bob' });
  await ada.enter('lobby');
  await bob.enter('lobby');
  await ada.say('before');
  await until('it is sent', async () => (await ada.page.getByRole('img', { name: 'Sent' }).count()) === 1);

  const field = ada.page.getByRole('textbox', { name: 'Message to lobby' });
  await field.pressSequentially('in the mid');
  await ada.context.setOffline(true);
  await ada.page.getByText('Reconnecting…').waitFor();
  await field.pressSequentially('dle of typing');
  await ada.page.keyboard.press('Enter');
  await ada.say('and another');
  await until('both wait', async () => (await ada.page.getByRole('img', { name: 'Waiting to be sent' }).count()) === 2);
  await bob.say('are you there?');

  await ada.context.setOffline(false);
  await until('all are sent', async () => (await ada.page.getByRole('img', { name: 'Sent' }).count()) === 3);
  await until('bob sees them', async () => (await bob.said()).length === 4);
  const own = (list) => list.filter((text) => text !== 'are you there?');
  assert.deepEqual(own(await bob.said()), ['before', 'in the middle of typing', 'and another']);
  assert.deepEqual(await ada.said(), await bob.said());
  const log = await client.chat.messages('lobby', { after: 0 });
  assert.deepEqual(own(log.map(({ text }) => text)), ['before', 'in the middle of typing', 'and another'], 'the server has each once');
});

/** In a page: resolves `window.sent` to the moment when Enter is pressed. */
function watchForEnter() {
  window.sent = new Promise((resolve) => {
    addEventListener('keydown', ({ key }) => key === 'Enter' && resolve(performance.timeOrigin + performance.now()), { capture: true });
  });
}

/** In a page: resolves `window.seen` to the moment when a text is on the screen. */
function watchFor(text) {
  window.seen = new Promise((resolve) => {
    const look = () => {
      if (!document.body.innerText.includes(text)) return;
      observer.disconnect();
      requestAnimationFrame(() => resolve(performance.timeOrigin + performance.now()));
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { childList: true, subtree: true, characterData: true });
  });
}
