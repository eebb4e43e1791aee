// Transactions that are made here: what they cost, how they are signed, and what becomes of them, step by step. What a
// transaction does is told by a `Plan`; payments make theirs here, stakes in `staking.ts`.

import { signal, type Signal } from '@preact/signals';
import type { PicoSyncClient, TransactionDetails } from 'pico-sync-client';

import { client, network } from './connection.js';
import { take } from './history.js';
import { inWords, isClientError } from '../lib/errors.js';
import { toHex } from '../lib/hex.js';
import { online } from '../lib/online.js';
import { loadWallet, type KeyPair, type WalletModule } from '../lib/wallet.js';
import { withKeyPair } from '../vault/vault.js';

/** How much is paid for a place in a block, in Luna for each byte. */
export const FEE_LEVELS = { free: 0n, standard: 1n, express: 2n } as const;
export type FeeLevel = keyof typeof FEE_LEVELS;

/** What every transaction takes, beside what it does. */
export type Terms = { keyPair: KeyPair; fee: bigint; validityStartHeight: number; network: ReturnType<typeof network.peek> };
/** What a transaction does: makes it, signed and serialised. Called twice, once to know its size. */
export type Plan = (wallet: WalletModule, terms: Terms) => Uint8Array;

/** Why a transaction can't be made or sent. The message is for people. */
export class PaymentError extends Error {
    override readonly name = 'PaymentError';
}

/** A payment, with a message if there is one. */
export const payment = (recipient: string, value: bigint, message: string): Plan =>
    ({ TransactionBuilder }, terms) =>
        message ? TransactionBuilder.withMessage({ ...terms, recipient, value, message }) : TransactionBuilder.basic({ ...terms, recipient, value });

/** The fee of what a plan makes. By the size of it, so it is made with a key that nobody has, and thrown away. */
export async function feeOf(plan: Plan, level: FeeLevel): Promise<bigint> {
    const wallet = await loadWallet();
    const keyPair = wallet.KeyPair.generate();
    try {
        const raw = plan(wallet, { keyPair, fee: 0n, validityStartHeight: 0, network: network.peek() });
        return BigInt(raw.length) * FEE_LEVELS[level];
    } finally {
        keyPair.free();
    }
}

/** Where a transaction is on its way. */
export type Step = 'signing' | 'sending' | TransactionDetails['state'];

/** One transaction on its way. What is shown of it changes by itself. */
export interface Sending {
    step: Signal<Step>;
    /** Once it is signed. */
    transaction: Signal<TransactionDetails | undefined>;
    /** Why it is stuck, as a sentence; while there is one, `again` may help. */
    problem: Signal<string | undefined>;
    /** Tries what failed again. The same transaction, once it is signed: it can't be executed twice. */
    again: () => void;
    /** Stops watching it; it goes its way. */
    leave: () => void;
    /** Resolves when it is final, or can't be any more, or is stuck. */
    done: Promise<void>;
}

/** Signs what a plan makes with the key of `from`, sends it, and follows it until it is final. */
export function send(from: string, plan: Plan, fee: bigint): Sending {
    const step = signal<Step>('signing');
    const transaction = signal<TransactionDetails | undefined>(undefined);
    const problem = signal<string | undefined>(undefined);
    const end = new AbortController();
    let raw: Uint8Array | undefined;
    let running: Promise<void> | undefined;

    const learn = (details: TransactionDetails) => {
        transaction.value = details;
        step.value = details.state;
        take(raw && details.state !== 'finalized' ? { ...details, raw: toHex(raw) } : details);
    };
    const run = async () => {
        problem.value = undefined;
        const through = connected();
        raw ??= await signed(from, plan, fee, through);
        if (step.peek() === 'signing') step.value = 'sending';
        if (!transaction.peek()) learn(await accepted(through, raw));
        for (const confirmations of ['included', 'finalized'] as const) {
            const { hash, state } = transaction.peek() as TransactionDetails;
            if (state === 'expired' || state === 'failed' || state === 'finalized' || end.signal.aborted) return;
            learn(await through.waitForTransaction(hash, { confirmations, signal: end.signal }));
        }
    };
    const start = () => {
        running ??= run()
            .catch((error: unknown) => {
                if (!end.signal.aborted) problem.value = inWords(error);
            })
            .finally(() => (running = undefined));
        return running;
    };
    return { step, transaction, problem, again: () => void start(), leave: () => end.abort(), done: start() };
}

/** The client, if it can be asked. */
export function connected(): PicoSyncClient {
    const current = client.peek();
    if (!online.peek() || current?.state.consensus === 'offline') throw new PaymentError('You are offline. It can be sent once there is a connection.');
    if (!current || current.state.consensus === 'closed') throw new PaymentError('There is no connection to the network. It can be sent once there is one.');
    if (current.state.consensus !== 'established') throw new PaymentError('The network is not in sync yet. Wait for a moment, and try again.');
    return current;
}

async function signed(from: string, plan: Plan, fee: bigint, through: PicoSyncClient): Promise<Uint8Array> {
    const wallet = await loadWallet();
    const validityStartHeight = through.state.head.blockNumber;
    return withKeyPair(from, (keyPair) => plan(wallet, { keyPair, fee, validityStartHeight, network: network.peek() }));
}

/** Sent; or known to be in the chain already, if it was sent before and nobody was told. */
async function accepted(through: PicoSyncClient, raw: Uint8Array): Promise<TransactionDetails> {
    try {
        return await through.sendTransaction(raw);
    } catch (error) {
        if (isClientError(error) && error.code === 'invalid-transaction') throw new PaymentError(`No node would take it: ${error.message}`, { cause: error });
        throw error;
    }
}
