// What a page loads of `dist/`, where bundlers take the files along as they are. The rest of it is for those that don't, for
// Node, and for people.

/** The client, as soon as there is one; a worker loads some of the same. */
export const CLIENT_FILES = ['core_bg.wasm', 'core.js', 'error.js', 'index.js', 'worker.js'];
/** The wallet, which is imported by itself. */
export const WALLET_FILES = ['wallet_bg.wasm', 'wallet.js', 'error.js'];
