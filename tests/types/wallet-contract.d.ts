// The API of `pico-sync-client/wallet` as it was promised. `wallet.ts` holds the package's own typings against it.

import type { Network } from './contract.js';

export class Mnemonic { static generate(): Mnemonic; static parse(words: string): Mnemonic; readonly words: string[]; toSeed(password?: string): Uint8Array; }
export class KeyPair {
    static generate(): KeyPair; static fromPrivateKey(key: Uint8Array | string): KeyPair;
    /** BIP-44 path, default `m/44'/242'/0'/0'`. */
    static fromMnemonic(mnemonic: Mnemonic, path?: string, password?: string): KeyPair;
    readonly address: string; readonly publicKey: string; privateKey(): Uint8Array;
    sign(message: Uint8Array): Uint8Array; static verify(publicKey: string, message: Uint8Array, signature: Uint8Array): boolean;
}
export class TransactionBuilder {
    /** Amounts in Luna. Each returns the signed, serialised transaction, ready for `sendTransaction`. */
    static basic(o: { keyPair: KeyPair; recipient: string; value: bigint; fee?: bigint; validityStartHeight: number; network: Network }): Uint8Array;
    static withMessage(o: { keyPair: KeyPair; recipient: string; value: bigint; fee?: bigint; message: string; validityStartHeight: number; network: Network }): Uint8Array;
    static stake(o: { keyPair: KeyPair; delegation: string; value: bigint; fee?: bigint; validityStartHeight: number; network: Network }): Uint8Array;
    static unstake(o: { keyPair: KeyPair; value: bigint; fee?: bigint; validityStartHeight: number; network: Network }): Uint8Array;
}
export function isValidAddress(address: string): boolean;
