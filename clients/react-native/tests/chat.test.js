import AsyncStorage from '@react-native-async-storage/async-storage';
import { fireEvent, screen, userEvent, waitFor } from '@testing-library/react-native';

import { PATIENCE, openApp, startSuperApp } from './support/app';

const find = (role, name) => screen.findByRole(role, { name }, PATIENCE);

async function enterLobby(url) {
  const user = userEvent.setup();
  await openApp({ server: url, user: 'ada', tab: 'Chat' });
  await user.press(await find('button', /^lobby/));
  await screen.findByLabelText('Message to lobby', {}, PATIENCE);
  return async (text) => {
    fireEvent.changeText(screen.getByLabelText('Message to lobby'), text);
    await user.press(screen.getByRole('button', { name: 'Send' }));
  };
}

test('nobody chats without a name', async () => {
  const { url } = await startSuperApp();
  const user = userEvent.setup();
  await openApp({ server: url, tab: 'Chat' });
  fireEvent.changeText(await screen.findByLabelText('Your name', {}, PATIENCE), 'not a name');
  await user.press(screen.getByRole('button', { name: 'Start chatting' }));
  expect(screen.getByText(/^Use letters a–z/)).toBeOnTheScreen();
  fireEvent.changeText(screen.getByLabelText('Your name'), 'ada');
  await user.press(screen.getByRole('button', { name: 'Start chatting' }));
  expect(await find('button', /^lobby/)).toBeOnTheScreen();
});

test('what is said is sent, and what others say appears', async () => {
  const { url, client } = await startSuperApp();
  const say = await enterLobby(url);
  await say('hi there');
  expect(await screen.findByLabelText('Sent', {}, PATIENCE)).toBeOnTheScreen();
  await client.chat.send('lobby', { user: 'bob', text: 'hello ada' });
  expect(await screen.findByText('hello ada', {}, PATIENCE)).toBeOnTheScreen();
  expect(screen.getAllByTestId('text')).toHaveLength(2);
});

test('what is said while nobody answers waits over a restart of the app, and goes out once', async () => {
  const { url, client, kill, start } = await startSuperApp();
  const say = await enterLobby(url);
  await say('first');
  await screen.findByLabelText('Sent', {}, PATIENCE);

  await kill();
  expect(await screen.findByText('Reconnecting…', {}, PATIENCE)).toBeOnTheScreen();
  await say('second');
  await say('third');
  await waitFor(() => expect(screen.getAllByLabelText('Waiting to be sent')).toHaveLength(2), PATIENCE);
  const stored = async () => JSON.stringify(await AsyncStorage.multiGet(await AsyncStorage.getAllKeys()));
  await waitFor(async () => expect(await stored()).toContain('third'), PATIENCE);

  screen.unmount();
  await start();
  await enterLobby(url);
  await waitFor(() => expect(screen.getAllByLabelText('Sent')).toHaveLength(3), PATIENCE);
  const log = await client.chat.messages('lobby', { after: 0 });
  expect(log.map(({ text }) => text)).toEqual(['first', 'second', 'third']);
});

test('a message that the server does not take is shown with its reason', async () => {
  const { url } = await startSuperApp(['chat.text_bytes_max=20']);
  const say = await enterLobby(url);
  await say('this is longer than the twenty bytes that are allowed');
  expect(await screen.findByText('Not sent. It is too long: send it in parts.', {}, PATIENCE)).toBeOnTheScreen();
  await userEvent.setup().press(screen.getByRole('button', { name: 'Remove' }));
  expect(screen.queryByText(/^Not sent/)).toBeNull();
});
