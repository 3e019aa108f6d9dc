// The client is read from its folder beside this one: a change there is seen at once, and nothing has to be published or linked.

const path = require('node:path');
const { getDefaultConfig } = require('expo/metro-config');

const api = path.resolve(__dirname, '../api');
const config = getDefaultConfig(__dirname);

config.watchFolders = [...config.watchFolders, api];
config.resolver.extraNodeModules = { ...config.resolver.extraNodeModules, 'superapp-api': api };
// What the compiler adds to the client's files is found here.
config.resolver.nodeModulesPaths = [path.resolve(__dirname, 'node_modules')];
// What the client needs for its own tests and for Node is nothing for an app.
config.resolver.blockList = [config.resolver.blockList ?? [], /\/clients\/api\/node_modules\/.*/].flat();

module.exports = config;
