import AsyncStorage from '@react-native-async-storage/async-storage';
import { fireEvent, screen, userEvent, waitFor } from '@testing-library/react-native';
import { createServer } from 'node:http';

import { PATIENCE, openApp, startSuperApp } from './support/app';

async function openSettings(server) {
  const user = userEvent.setup();
  await user.press(await openApp({ server, tab: 'Settings' }));
  const address = await screen.findByLabelText('Address', {}, PATIENCE);
  return {
    write: (text) => fireEvent.changeText(address, text),
    press: (name) => user.press(screen.getByRole('button', { name })),
  };
}

const stored = async () => JSON.parse(await AsyncStorage.getItem('superapp:settings'));

test('a connection is tested, with words for what is found', async () => {
  const { url } = await startSuperApp();
  const { write, press } = await openSettings(url);
  await press('Test connection');
  expect(await screen.findByText('Connected', {}, PATIENCE)).toBeOnTheScreen();
  expect(screen.getByText(/^Everything there is healthy\. Version .*, 4 replicas/)).toBeOnTheScreen();

  write('http://127.0.0.1:1');
  await press('Test connection');
  expect(await screen.findByText('Cannot reach the server', {}, PATIENCE)).toBeOnTheScreen();

  write('not an address');
  await press('Test connection');
  expect(await screen.findByText('That is no address', {}, PATIENCE)).toBeOnTheScreen();

  const other = createServer((_, answer) => answer.end('<h1>It works!</h1>')).listen(0, '127.0.0.1');
  await new Promise((listening) => other.once('listening', listening));
  write(`http://127.0.0.1:${other.address().port}`);
  await press('Test connection');
  expect(await screen.findByText('Something else answers there', {}, PATIENCE)).toBeOnTheScreen();
  other.closeAllConnections();
  await new Promise((closed) => other.close(closed));
});

test('the address and the name are kept', async () => {
  const { url } = await startSuperApp();
  const { write, press } = await openSettings('http://127.0.0.1:1');
  write(`${url}/`);
  await press('Save');
  await waitFor(async () => expect((await stored()).server).toBe(url), PATIENCE);
  fireEvent.changeText(screen.getByLabelText('Your name in chat'), 'ada');
  await press('Save name');
  await waitFor(async () => expect(await stored()).toEqual({ server: url, user: 'ada' }), PATIENCE);
});

test('what is no address is not kept', async () => {
  const { write, press } = await openSettings('http://127.0.0.1:1');
  write('not an address');
  await press('Save');
  expect(await screen.findByText('That is no address', {}, PATIENCE)).toBeOnTheScreen();
  expect((await stored()).server).toBe('http://127.0.0.1:1');
});
