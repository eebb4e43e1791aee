// What the examples take for granted: a client that has been created, and an account.

declare const client: import('pico-sync-client').PicoSyncClient;
declare const keyPair: import('pico-sync-client/wallet').KeyPair;
declare const words: string;
declare const address: string;
declare const recipient: string;
declare const validator: string;
declare const hash: string;
/** Shows something to the user. */
declare function show(...what: unknown[]): void;
