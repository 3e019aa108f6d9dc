// What the stand-in of a phone lacks: a network, a place to keep things, and edges.

for (const [name, value] of Object.entries({ ...global.node, WebSocket: require('ws') })) {
  Object.defineProperty(global, name, { value, configurable: true, writable: true });
}

jest.mock('@react-native-async-storage/async-storage', () => require('@react-native-async-storage/async-storage/jest/async-storage-mock'));

jest.mock('react-native-safe-area-context', () => require('react-native-safe-area-context/jest/mock').default);
