// A dApp in Node: syncs, asks, signs, and ends by itself. Takes options as JSON, prints its report as JSON. With `noWorker` its
// client can't have a worker.

import { PicoSyncClient, PicoSyncError } from 'pico-sync-client';
import * as wallet from 'pico-sync-client/wallet';

import { sync } from './src/sync.js';

const { privateKey, noWorker, ...options } = JSON.parse(process.argv[2]);
const worker = () => {
    throw new Error('there are none today');
};
const report = await sync(PicoSyncClient, noWorker ? { ...options, worker } : options);
const keyPair = wallet.KeyPair.fromPrivateKey(privateKey);
console.log(JSON.stringify({ ...report, address: keyPair.address, sameError: wallet.PicoSyncError === PicoSyncError }));
