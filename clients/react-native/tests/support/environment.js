// As on a phone, but with Node's own network: what stands in for a phone's cannot reach a server.

const { testEnvironment } = require('jest-expo/jest-preset.js');

const Phone = require(testEnvironment);

module.exports = class extends Phone {
  constructor(...given) {
    super(...given);
    this.global.node = { fetch, AbortController, AbortSignal };
  }
};
