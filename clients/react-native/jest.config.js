module.exports = {
  preset: 'jest-expo',
  testMatch: ['<rootDir>/tests/**/*.test.js'],
  testEnvironment: '<rootDir>/tests/support/environment.js',
  setupFiles: ['<rootDir>/tests/support/setup.js'],
  moduleNameMapper: {
    '^superapp-api$': '<rootDir>/../api/index.js',
    // What the compiler adds to the client's files is found here.
    '^@babel/runtime/(.*)$': '<rootDir>/node_modules/@babel/runtime/$1',
  },
  // A test talks to a running system, and the machine may be busy.
  testTimeout: 300_000,
};
