// What the app can do, on `window.app`, for the test that drives it.

import { sync } from './sync.js';

/** `loadWallet` imports `pico-sync-client/wallet`. */
export function expose({ PicoSyncClient, PicoSyncError, loadWallet }) {
    window.app = {
        sync: (options) => sync(PicoSyncClient, options),

        /** With a verification worker of the app's own. */
        syncWithOwnWorker: (options) =>
            sync(PicoSyncClient, { ...options, worker: () => new Worker(new URL('./own-worker.js', import.meta.url), { type: 'module' }) }),

        /** The client as a whole in a worker. */
        syncInWorker: (options) =>
            new Promise((resolve, reject) => {
                const worker = new Worker(new URL('./client-worker.js', import.meta.url), { type: 'module' });
                worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.report));
                worker.onerror = ({ message }) => reject(new Error(message || 'the worker did not start'));
                worker.postMessage(options);
            }),

        /** Loads the wallet, and signs. */
        async sign(privateKey, transaction) {
            const wallet = await loadWallet();
            const keyPair = wallet.KeyPair.fromPrivateKey(privateKey);
            const raw = wallet.TransactionBuilder.basic({ ...transaction, keyPair, value: BigInt(transaction.value) });
            return { address: keyPair.address, bytes: raw.length, sameError: wallet.PicoSyncError === PicoSyncError };
        },
    };
}
