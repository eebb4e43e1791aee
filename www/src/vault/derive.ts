// Accounts from words: which keys belong to a mnemonic, and how they are kept together with it.

import type { AccountRecord } from './store.js';
import { accountRecords, add, withMnemonic, type NewSecret } from './vault.js';
import { loadWallet, type Mnemonic } from '../lib/wallet.js';

/** Where wallets of Nimiq have their account number `index`, from 0. */
export const accountPath = (index: number): string => `m/44'/242'/0'/${index}'`;
/** The number of the account at a path, or -1. */
const indexOf = (path: string): number => Number(/^m\/44'\/242'\/0'\/(\d+)'$/.exec(path)?.[1] ?? -1);

/** An account to be derived. */
export type Derivation = { path: string; label: string };

/** The address at a path. Takes tens of milliseconds. */
export async function addressAt(mnemonic: Mnemonic, path: string): Promise<string> {
    const { KeyPair } = await loadWallet();
    const pair = KeyPair.fromMnemonic(mnemonic, path);
    try {
        return pair.address;
    } finally {
        pair.free();
    }
}

/**
 * Keeps accounts of a mnemonic, with their keys, and its words. Resolves with their addresses. `password`: for the first key of
 * a wallet.
 */
export async function keepDerived(mnemonic: Mnemonic, wanted: Derivation[], password?: string): Promise<string[]> {
    const { KeyPair } = await loadWallet();
    const secrets: NewSecret[] = [];
    const accounts: AccountRecord[] = [];
    try {
        // By the address of its first account: the same words are kept once.
        const id = `words ${await addressAt(mnemonic, accountPath(0))}`;
        secrets.push({ kind: 'words', id, bytes: new TextEncoder().encode(mnemonic.words.join(' ')) });
        for (const [i, { path, label }] of wanted.entries()) {
            const pair = KeyPair.fromMnemonic(mnemonic, path);
            try {
                secrets.push({ kind: 'key', id: pair.address, bytes: pair.privateKey() as Uint8Array<ArrayBuffer> });
                // In the order in which they were asked for.
                accounts.push({ address: pair.address, label, kind: 'key', words: { id, path }, createdAt: Date.now() + i });
            } finally {
                pair.free();
            }
        }
        await add(secrets, accounts, password);
        return accounts.map(({ address }) => address);
    } finally {
        for (const { bytes } of secrets) bytes.fill(0);
    }
}

/** Keeps the account of a private key. Resolves with its address. */
export async function keepKey(key: Uint8Array, label: string, password?: string): Promise<string> {
    const { KeyPair } = await loadWallet();
    const pair = KeyPair.fromPrivateKey(key);
    const bytes = pair.privateKey() as Uint8Array<ArrayBuffer>;
    try {
        const { address } = pair;
        await add([{ kind: 'key', id: address, bytes }], [{ address, label, kind: 'key', createdAt: Date.now() }], password);
        return address;
    } finally {
        pair.free();
        bytes.fill(0);
    }
}

/** Keeps the next account of words that are kept already. Resolves with its address. */
export async function keepNext(wordsId: string, label: string): Promise<string> {
    const taken = accountRecords.peek().flatMap(({ words }) => (words?.id === wordsId ? [indexOf(words.path)] : []));
    const path = accountPath(Math.max(-1, ...taken) + 1);
    return withMnemonic(wordsId, async (mnemonic) => {
        const [address] = await keepDerived(mnemonic, [{ path, label }]);
        return address;
    });
}
