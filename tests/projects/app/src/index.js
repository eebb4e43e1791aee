import { PicoSyncClient, PicoSyncError } from 'pico-sync-client';

import { expose } from './app.js';

expose({ PicoSyncClient, PicoSyncError, loadWallet: () => import('pico-sync-client/wallet') });
