// What the stand-in of a phone lacks: a network, and a place to keep things.

for (const [name, value] of Object.entries({ ...global.node, WebSocket: require('ws') })) {
  Object.defineProperty(global, name, { value, configurable: true, writable: true });
}

jest.mock('@react-native-async-storage/async-storage', () => require('@react-native-async-storage/async-storage/jest/async-storage-mock'));
