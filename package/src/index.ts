// pico-sync-client: a light client for the Nimiq blockchain.

export { PicoSyncClient } from './client.js';
export { PicoSyncError } from './error.js';
export type * from './types.js';
