// Somebody is created, found, changed and deleted, in the built app.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { browser, person } from './support/browser.js';
import { allInOne } from './support/system.js';

test('somebody is created, found, changed and deleted', async (t) => {
  const { url, client } = await allInOne(t);
  await client.users.create({ name: 'Bob', email: 'bob@example.com' });
  const { page } = await person(t, await browser(t), url, { path: '/app/users' });
  const button = (name) => page.getByRole('button', { name, exact: true });
  const field = (name) => page.getByRole('textbox', { name, exact: true });

  await button('New person').first().click();
  await field('Name').fill('Ada Lovelace');
  await field('Email').fill('bob@example.com');
  await button('Create').click();
  await page.getByText('Somebody has this email address already.').waitFor();
  await field('Email').fill('ada@example.com');
  await button('Create').click();
  await page.getByText('Member since').waitFor();
  const [ada] = (await client.users.page({ q: 'ada' })).users;
  assert.equal(new URL(page.url()).pathname, `/app/users/${ada.id}`);

  await field('Name').fill('Ada King');
  await button('Save').click();
  await page.getByText('Saved', { exact: true }).waitFor();
  await page.getByRole('searchbox').fill('king');
  await button('Bob, bob@example.com').waitFor({ state: 'detached' });
  await button('Ada King, ada@example.com').waitFor();

  // The place survives a reload.
  await page.reload();
  await page.getByText('Member since').waitFor();
  await button('Delete this person').click();
  await button('Delete').click();
  await button('Ada King, ada@example.com').waitFor({ state: 'detached' });
  assert.deepEqual((await client.users.page()).users.map(({ name }) => name), ['Bob']);
});
