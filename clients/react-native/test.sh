#!/bin/sh
# All tests of the app: its screens, its bundles, and the web build in a browser. Run by `make test-app`; SUPERAPP_BIN is the server.

set -eu
cd "$(dirname "$0")"
export CI=1 EXPO_NO_TELEMETRY=1 EXPO_OFFLINE=1

npm ci --no-progress
npx jest --runInBand
npm run export:web
npm run export:android
npm run story
