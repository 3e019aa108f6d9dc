import { fireEvent, screen, userEvent, waitFor } from '@testing-library/react-native';

import { PATIENCE, openApp, startSuperApp } from './support/app';

const find = (role, name) => screen.findByRole(role, { name }, PATIENCE);

/** The app at the people of a system; `press` a button, `write` into a field. */
async function atPeople() {
  const system = await startSuperApp();
  const user = userEvent.setup();
  const press = async (name) => user.press(await find('button', name));
  const write = (label, text) => fireEvent.changeText(screen.getByLabelText(label), text);
  const open = async () => {
    await openApp({ server: system.url, tab: 'People' });
    await user.press(await find('tab', 'People'));
  };
  return { ...system, press, write, open };
}

test('somebody is created, with what the server says of each field at the field', async () => {
  const { client, press, write, open } = await atPeople();
  await client.users.create({ name: 'Bob', email: 'bob@example.com' });
  await open();
  await press('New person');

  write('Email', 'nobody');
  await press('Create');
  expect(await screen.findByText(/^The name /, {}, PATIENCE)).toBeOnTheScreen();
  expect(screen.getByText(/^The email address /)).toBeOnTheScreen();

  write('Name', 'Ada');
  write('Email', 'BOB@example.com');
  await press('Create');
  expect(await screen.findByText('Somebody has this email address already.', {}, PATIENCE)).toBeOnTheScreen();
  expect(screen.queryByText(/^The name /)).toBeNull();

  write('Email', 'ada@example.com');
  await press('Create');
  expect(await screen.findByText('Member since', {}, PATIENCE)).toBeOnTheScreen();
  const { users } = await client.users.page();
  expect(users.map(({ name }) => name)).toEqual(['Ada', 'Bob']);
});

test('whoever was slower is told so, and chooses whose words stay', async () => {
  const { client, press, write, open } = await atPeople();
  const ada = await client.users.create({ name: 'Ada', email: 'ada@example.com' });
  await open();
  await press('Ada, ada@example.com');
  await screen.findByText('Member since', {}, PATIENCE);

  await client.users.update(ada.id, { name: 'Ada L.' });
  write('Name', 'Ada Lovelace');
  await press('Save');
  expect(await screen.findByText('Somebody was faster', {}, PATIENCE)).toBeOnTheScreen();
  expect((await client.users.get(ada.id)).name).toBe('Ada L.');

  await press('Show theirs');
  await screen.findByDisplayValue('Ada L.', {}, PATIENCE);
  expect(screen.queryByText('Somebody was faster')).toBeNull();

  await client.users.update(ada.id, { name: 'A. L.' });
  write('Name', 'Ada Lovelace');
  await press('Save');
  await press('Keep mine');
  expect(await screen.findByText('Saved', {}, PATIENCE)).toBeOnTheScreen();
  expect((await client.users.get(ada.id)).name).toBe('Ada Lovelace');
});

test('somebody is deleted only after a second question', async () => {
  const { client, press, open } = await atPeople();
  await client.users.create({ name: 'Ada', email: 'ada@example.com' });
  await open();
  await press('Ada, ada@example.com');
  await press('Delete this person');
  await press('Cancel');
  expect((await client.users.page()).users).toHaveLength(1);

  await press('Delete this person');
  await press('Delete');
  expect(await screen.findByText('Nobody is here yet', {}, PATIENCE)).toBeOnTheScreen();
  expect((await client.users.page()).users).toHaveLength(0);
});

test('the list is searched, and comes page by page', async () => {
  const { client, write, open } = await atPeople();
  for (let at = 1; at <= 40; at += 1) await client.users.create({ name: `Person ${at}`, email: `person-${at}@example.com` });
  await open();
  const list = await screen.findByLabelText('List of people', {}, PATIENCE);
  expect(list.props.data).toHaveLength(30);
  fireEvent(list, 'endReached');
  await waitFor(() => expect(screen.getByLabelText('List of people').props.data).toHaveLength(40), PATIENCE);

  write('Search people', 'person-17@');
  expect(await find('button', 'Person 17, person-17@example.com')).toBeOnTheScreen();
  expect(screen.queryByText('Person 18')).toBeNull();
  write('Search people', 'zzz');
  expect(await screen.findByText('Nobody found', {}, PATIENCE)).toBeOnTheScreen();
  expect(screen.queryByText('Person 17')).toBeNull();
});
