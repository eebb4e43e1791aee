// Compiles only if `dist/wallet.d.ts` offers what `wallet-contract.d.ts` promises.

import * as actual from 'pico-sync-client/wallet';
import * as main from 'pico-sync-client';
import type * as contract from './wallet-contract.js';

/** Fails to compile where `Actual` cannot be used as a `Promised`. */
function assignable<Promised>(_: Promised): void {}
declare function a<T>(): T;

/** What a class offers without an object. */
type Statics<T> = Pick<T, Exclude<keyof T, 'prototype'>>;

assignable<contract.Mnemonic>(a<actual.Mnemonic>());
assignable<contract.KeyPair>(a<actual.KeyPair>());
assignable<contract.TransactionBuilder>(a<actual.TransactionBuilder>());
assignable<Statics<typeof contract.Mnemonic>>(actual.Mnemonic);
assignable<Statics<typeof contract.KeyPair>>(actual.KeyPair);
assignable<Statics<typeof contract.TransactionBuilder>>(actual.TransactionBuilder);
assignable<typeof contract.isValidAddress>(actual.isValidAddress);

// What was promised to be accepted is accepted, with the package's own objects in it.
type Options<Kind extends 'basic' | 'withMessage' | 'stake' | 'unstake'> =
    Omit<Parameters<(typeof contract.TransactionBuilder)[Kind]>[0], 'keyPair'> & { keyPair: actual.KeyPair };
actual.TransactionBuilder.basic(a<Options<'basic'>>());
actual.TransactionBuilder.withMessage(a<Options<'withMessage'>>());
actual.TransactionBuilder.stake(a<Options<'stake'>>());
actual.TransactionBuilder.unstake(a<Options<'unstake'>>());

// One error, wherever it is imported from.
assignable<typeof main.PicoSyncError>(actual.PicoSyncError);

/** As a dApp would write it. */
export function use(words: string): Uint8Array {
    using mnemonic = actual.Mnemonic.parse(words);
    using keyPair = actual.KeyPair.fromMnemonic(mnemonic);
    const [first]: string[] = mnemonic.words;
    if (!first || !actual.isValidAddress(keyPair.address)) throw new Error('never');
    return actual.TransactionBuilder.withMessage({
        keyPair, recipient: keyPair.address, value: 1n, message: 'hello', validityStartHeight: 1, network: 'main-albatross',
    });
}

// Made by their own functions only.
// @ts-expect-error
new actual.KeyPair();
// @ts-expect-error
new actual.Mnemonic();
// @ts-expect-error
actual.TransactionBuilder.basic({ keyPair: a<actual.KeyPair>(), recipient: '', value: 1, validityStartHeight: 1, network: 'main-albatross' });
