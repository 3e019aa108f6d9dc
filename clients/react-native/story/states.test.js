// Every screen where there is nothing yet, and where something is wrong. The pictures are for people to look at: screenshots/.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { everywhere } from './support/browser.js';
import { freePort } from './support/process.js';
import { allInOne, apart } from './support/system.js';

/** Leads through screens by their paths, and takes a picture of each once its words are there. */
async function through({ page }, shoot, url, places) {
  for (const [name, path, words] of places) {
    await page.goto(url + path);
    await page.getByText(words).first().waitFor();
    await shoot(name);
  }
}

test('a system that was just started says what there will be', async (t) => {
  const { url } = await allInOne(t);
  await everywhere(t, url, { path: '/app/analytics' }, async (somebody, shoot) => {
    await through(somebody, shoot, url, [
      ['empty-name', '/app/chat', 'What shall others call you?'],
      ['empty-people', '/app/users', 'Nobody is here yet'],
      ['empty-analytics', '/app/analytics', 'Nothing has happened yet'],
    ]);
    await somebody.page.getByRole('tab', { name: 'People' }).click();
    await somebody.page.getByRole('searchbox').fill('zaphod');
    await somebody.page.getByText('Nobody found').waitFor();
    await shoot('empty-search');
  });
  await everywhere(t, url, { user: 'ada' }, async (somebody, shoot) => {
    await through(somebody, shoot, url, [
      ['empty-rooms', '/app/chat', 'Nobody has said anything yet'],
      ['empty-room', '/app/chat/lobby', 'It is quiet here'],
    ]);
    await somebody.page.goto(`${url}/app/chat`);
    await somebody.page.getByRole('button', { name: 'New room' }).click();
    await somebody.page.getByRole('textbox', { name: 'Room' }).fill('No Such Room');
    await somebody.page.getByRole('button', { name: 'Enter room' }).click();
    await somebody.page.getByRole('alert').waitFor();
    await shoot('wrong-room');
  });
});

test('a server that is away is told on every screen, with what can be done', async (t) => {
  const { url } = await allInOne(t);
  // Where nobody listens.
  const server = `http://127.0.0.1:${await freePort()}`;
  await everywhere(t, url, {}, async ({ page, context }, shoot) => {
    await context.addInitScript((away) => localStorage.setItem('superapp:settings', JSON.stringify({ user: 'ada', server: away })), server);
    await through({ page }, shoot, url, [
      ['away-rooms', '/app/chat', 'Reconnecting…'],
      ['away-room', '/app/chat/lobby', 'Cannot reach the server'],
      ['away-people', '/app/users', 'Cannot reach the server'],
      ['away-health', '/app/health', 'Cannot reach the server'],
      ['away-analytics', '/app/analytics', 'Cannot reach the server'],
    ]);
    await page.goto(`${url}/app/chat`);
    await page.getByText('Not loaded yet').waitFor();
    assert.equal(await page.getByText('Nobody has said anything yet').count(), 0, 'nobody knows');
    await page.goto(`${url}/app/chat/lobby`);
    await page.getByRole('textbox', { name: 'Message to lobby' }).fill('Is anybody there?');
    await page.keyboard.press('Enter');
    await page.getByText('1 message will be sent then.').last().waitFor();
    await shoot('away-waiting');
    await page.goto(`${url}/app/users/new`);
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('Ada Lovelace');
    await page.getByRole('textbox', { name: 'Email', exact: true }).fill('ada@example.com');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByText('Cannot reach the server').last().waitFor();
    await shoot('away-new-person');
    await page.goto(`${url}/app/settings`);
    await page.getByRole('button', { name: 'Test connection' }).click();
    await page.getByText('Cannot reach the server').waitFor();
    await shoot('away-settings');
  });
});

test('what the server does not take is told where it was written', async (t) => {
  const { url, client } = await allInOne(t);
  const ada = await client.users.create({ name: 'Ada Lovelace', email: 'ada@example.com' });
  await client.chat.send('lobby', { user: 'grace', text: 'Morning!' });
  let changes = 0;
  await everywhere(t, url, { user: 'ada' }, async ({ page, say, enter }, shoot) => {
    const [button, field] = ['button', 'textbox'].map((role) => (name) => page.getByRole(role, { name, exact: true }));
    await page.goto(`${url}/app/users/new`);
    await button('Create').waitFor();
    await page.keyboard.press('Tab');
    await shoot('focus');
    await field('Email').fill('no address');
    await button('Create').click();
    await page.getByRole('alert').nth(1).waitFor();
    await shoot('wrong-person');
    await page.goto(`${url}/app/users/00000000-0000-7000-8000-000000000000`);
    await page.getByText('This person is gone').waitFor();
    assert.equal(await button('Try again').count(), 0, 'nobody comes back by trying');
    await shoot('gone-person');

    await page.goto(`${url}/app/users/${ada.id}`);
    await page.getByText('Member since').waitFor();
    await client.users.update(ada.id, { name: `Ada Byron ${(changes += 1)}` });
    await field('Name').fill('Ada King');
    await button('Save').click();
    await page.getByText('Somebody was faster').waitFor();
    await shoot('conflict-person');
    await button('Delete this person').click();
    const dialog = page.getByRole('dialog', { name: /^Delete Ada / });
    await dialog.getByRole('button', { name: 'Delete' }).waitFor();
    await page.evaluate(() => Promise.all(document.getAnimations().map((each) => each.finished)));
    assert.equal(await page.getByRole('dialog').count(), 1);
    await shoot('delete-person');

    await enter('lobby');
    await say('x'.repeat(9_000));
    await page.getByRole('alert').waitFor();
    await shoot('refused-message');
    await page.goto(`${url}/app/settings`);
    await field('Your name in chat').fill('Ada Lovelace');
    await button('Save name').click();
    await field('Address').fill('not a server');
    await button('Save').click();
    await page.getByText('That is no address').waitFor();
    await shoot('wrong-settings');
  });
});

test('replicas that are down are seen', async (t) => {
  const { url, chats, kill } = await apart(t);
  for (const [at, [name, words]] of [['degraded', 'Something is degraded'], ['down', 'Something is down']].entries()) {
    await kill(chats[at]);
    await everywhere(t, url, { path: '/app/health' }, async ({ page }, shoot) => {
      await page.getByText(words).waitFor();
      const down = page.getByRole('group', { name: /, down$/ });
      assert.equal(await down.count(), at + 1);
      assert.doesNotMatch((await down.allTextContents()).join(), /\d ms|socket/, 'who does not answer has no latency');
      await shoot(`${name}-health`);
    });
  }
});
