import { screen, userEvent } from '@testing-library/react-native';

import { PATIENCE, openApp, startSuperApp } from './support/app';

async function openHealth(server) {
  const user = userEvent.setup();
  const tab = await openApp({ server, tab: 'Health' });
  await user.press(tab);
}

test('every service and replica is shown with how it is', async () => {
  const { url, client } = await startSuperApp();
  const { services } = await client.health();
  await openHealth(url);
  expect(await screen.findByText('All systems are healthy', {}, PATIENCE)).toBeOnTheScreen();
  const replicas = Object.values(services).flatMap((service) => service.replicas);
  expect(replicas).toHaveLength(4);
  for (const { address } of replicas) expect(screen.getByLabelText(`${address}, healthy`)).toBeOnTheScreen();
});

test('a service without a replica is said to be down, and why', async () => {
  // Nobody listens on port 1.
  const { url } = await startSuperAppWithout('analytics');
  await openHealth(url);
  expect(await screen.findByText('Something is down', {}, PATIENCE)).toBeOnTheScreen();
  expect(screen.getByLabelText('127.0.0.1:1, down')).toBeOnTheScreen();
});

test('a server that goes away is told beside what was known, and its return is noticed', async () => {
  const { url, kill, start } = await startSuperApp();
  await openHealth(url);
  await screen.findByText('All systems are healthy', {}, PATIENCE);
  await kill();
  expect(await screen.findByText('Cannot reach the server', {}, PATIENCE)).toBeOnTheScreen();
  expect(screen.getByText('All systems are healthy')).toBeOnTheScreen();
  await start();
  await screen.findByText('All systems are healthy', {}, PATIENCE);
});

const startSuperAppWithout = (service) => startSuperApp([`gateway.clusters.${service}.endpoints=["127.0.0.1:1"]`], 'fail');
