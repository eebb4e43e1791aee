// The package's wallet part, with its wasm: loaded when it is first needed, once.

import { signal } from '@preact/signals';

export type { KeyPair, Mnemonic } from 'pico-sync-client/wallet';
export type WalletModule = typeof import('pico-sync-client/wallet');

let loading: Promise<WalletModule> | undefined;
/** The module, once it is there: for what has to be known while something is typed. */
export const wallet = signal<WalletModule | undefined>(undefined);

/** Loads it, unless that is done. A failure is not kept: the network may be back the next time. */
export function loadWallet(): Promise<WalletModule> {
    loading ??= import('pico-sync-client/wallet').then(
        (module) => (wallet.value = module),
        (error: unknown) => {
            loading = undefined;
            throw error;
        },
    );
    return loading;
}
