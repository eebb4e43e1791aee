// Without any bundler: the package's `dist` folder lies on the server.

import { PicoSyncClient, PicoSyncError } from '../pico-sync-client/dist/index.js';

import { expose } from './app.js';

expose({ PicoSyncClient, PicoSyncError, loadWallet: () => import('../pico-sync-client/dist/wallet.js') });
