// pico-sync-client/wallet: keys, addresses and signed transactions, without any network.
//
// The wasm is small and there as soon as this module is imported, so that everything below can be synchronous. Secrets stay in
// its memory, behind private fields, until they are asked for.

import { PicoSyncError, describe, toPicoSyncError } from './error.js';
import type { Network } from './types.js';
import type { RawKeyPair, RawMnemonic, WalletCore } from './wallet-core.js';
import { walletCore } from './wallet-files.js';

export { PicoSyncError };
export type { ErrorCode, Network } from './types.js';

/** No amount is larger: it must survive a conversion to a JavaScript number. */
const MAX_LUNA = BigInt(Number.MAX_SAFE_INTEGER);
/** Block numbers have 32 bits. */
const MAX_BLOCK_NUMBER = 0xffff_ffff;
const DEFAULT_PATH = "m/44'/242'/0'/0'";

// Browsers without explicit resource management lack the symbol; the method is then simply out of reach.
const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol('Symbol.dispose');

/** Why the wasm may not be called any more. */
let over: PicoSyncError | undefined;

/** Calls into the wasm, and wipes what that leaves on its stack. Throws `PicoSyncError` only. */
function call<T>(work: (core: WalletCore) => T): T {
    if (over) throw over;
    const core = walletCore();
    try {
        const result = work(core);
        core.wipe();
        return result;
    } catch (thrown) {
        const error = toPicoSyncError(thrown, 'crashed');
        // A trap: its memory may be half-written, so nothing may call it again.
        if (error.code === 'crashed') over = new PicoSyncError('crashed', `The wallet crashed: ${describe(thrown)}`, thrown);
        else core.wipe();
        throw over ?? error;
    }
}

/** Access to the wasm's side of the objects below, which also tells them from everything else. */
let rawMnemonic: (value: unknown, name: string) => RawMnemonic;
let rawKeyPair: (value: unknown, name: string) => RawKeyPair;

/** A wallet's secret in words, as of BIP-39, in English. */
export class Mnemonic {
    #raw: RawMnemonic | undefined;

    static {
        rawMnemonic = (value, name) => {
            if (typeof value !== 'object' || value === null || !(#raw in value)) throw invalid(name, 'a Mnemonic');
            return value.#live();
        };
    }

    private constructor(raw: RawMnemonic) {
        if (!(raw instanceof walletCore().RawMnemonic)) {
            throw new PicoSyncError('invalid-options', 'A mnemonic is made by Mnemonic.generate() or Mnemonic.parse().');
        }
        this.#raw = raw;
    }

    /** A new one, from secure random numbers, of 12, 15, 18, 21 or 24 words; default 24. */
    static generate(options: { words?: number } = {}): Mnemonic {
        if (typeof options !== 'object' || options === null) throw invalid('options', 'an object');
        const count = options.words ?? 24;
        if (![12, 15, 18, 21, 24].includes(count)) throw invalid('words', '12, 15, 18, 21 or 24');
        return new Mnemonic(call((core) => core.RawMnemonic.generate(count)));
    }

    /**
     * The one of 12, 15, 18, 21 or 24 words, in either case and with any white space between them. Throws
     * `invalid-options` if a word is unknown or the checksum wrong; the message says which word, not what it is.
     */
    static parse(words: string): Mnemonic {
        text(words, 'words');
        return new Mnemonic(call((core) => core.RawMnemonic.parse(words)));
    }

    /** The words, in order. */
    get words(): string[] {
        const raw = this.#live();
        return call(() => raw.words()).split(' ');
    }

    /** The 64 bytes that keys are derived from. Another password gives another wallet. Takes tens of milliseconds. */
    toSeed(password = ''): Uint8Array {
        const raw = this.#live();
        const normalised = normalise(password);
        return call(() => raw.toSeed(normalised));
    }

    /** Wipes it from memory at once, rather than when it is collected. It can't be used afterwards. */
    free(): void {
        release(this.#raw);
        this.#raw = undefined;
    }

    /** As `free()`, for `using`. */
    [dispose](): void {
        this.free();
    }

    #live(): RawMnemonic {
        return this.#raw ?? freed('mnemonic');
    }
}

/** An Ed25519 key pair: an account, and what signs for it. */
export class KeyPair {
    #raw: RawKeyPair | undefined;

    static {
        rawKeyPair = (value, name) => {
            if (typeof value !== 'object' || value === null || !(#raw in value)) throw invalid(name, 'a KeyPair');
            return value.#live();
        };
    }

    private constructor(raw: RawKeyPair) {
        if (!(raw instanceof walletCore().RawKeyPair)) {
            throw new PicoSyncError(
                'invalid-options',
                'A key pair is made by KeyPair.generate(), KeyPair.fromPrivateKey() or KeyPair.fromMnemonic().',
            );
        }
        this.#raw = raw;
    }

    /** A new one, from secure random numbers. */
    static generate(): KeyPair {
        return new KeyPair(call((core) => core.RawKeyPair.generate()));
    }

    /** From the 32 bytes of a private key, or 64 hexadecimal digits. */
    static fromPrivateKey(key: Uint8Array | string): KeyPair {
        if (typeof key === 'string') return new KeyPair(call((core) => core.RawKeyPair.fromPrivateKeyHex(key)));
        bytes(key, 'key');
        return new KeyPair(call((core) => core.RawKeyPair.fromPrivateKey(key)));
    }

    /** From a mnemonic: BIP-44 path, default `m/44'/242'/0'/0'`, every index of it hardened. Takes tens of milliseconds. */
    static fromMnemonic(mnemonic: Mnemonic, path = DEFAULT_PATH, password = ''): KeyPair {
        const raw = rawMnemonic(mnemonic, 'mnemonic');
        text(path, 'path');
        const normalised = normalise(password);
        return new KeyPair(call((core) => core.RawKeyPair.fromMnemonic(raw, path, normalised)));
    }

    /** Whether `signature` (64 bytes) under `message` is by the owner of `publicKey` (64 hexadecimal digits). */
    static verify(publicKey: string, message: Uint8Array, signature: Uint8Array): boolean {
        text(publicKey, 'publicKey');
        bytes(message, 'message');
        bytes(signature, 'signature');
        return call((core) => core.verify(publicKey, message, signature));
    }

    /** In the user-friendly form, `NQ…` with spaces. */
    get address(): string {
        const raw = this.#live();
        return call(() => raw.address());
    }

    /** 64 hexadecimal digits. */
    get publicKey(): string {
        const raw = this.#live();
        return call(() => raw.publicKey());
    }

    /** A copy of the 32 bytes. Whoever gets it keeps or wipes it. */
    privateKey(): Uint8Array {
        const raw = this.#live();
        return call(() => raw.privateKey());
    }

    /**
     * The 64 bytes of a signature under exactly these bytes. Nothing is put in front of them, so bytes from a stranger
     * may be those of a transaction: sign no such bytes.
     */
    sign(message: Uint8Array): Uint8Array {
        const raw = this.#live();
        bytes(message, 'message');
        return call(() => raw.sign(message));
    }

    /** Wipes the private key from memory at once, rather than when it is collected. It can't be used afterwards. */
    free(): void {
        release(this.#raw);
        this.#raw = undefined;
    }

    /** As `free()`, for `using`. */
    [dispose](): void {
        this.free();
    }

    #live(): RawKeyPair {
        return this.#raw ?? freed('key pair');
    }
}

/** What every transaction takes. Amounts are in Luna. */
export interface TransactionOptions {
    /** Whose account it is from, and who signs. */
    keyPair: KeyPair;
    /** Default 0. */
    fee?: bigint;
    /** From around this block on it can be included, and only within the validity window after it: the current head. */
    validityStartHeight: number;
    /** The network it is for: no other takes it. */
    network: Network;
}

/**
 * Makes transactions. Each method returns one signed and serialised, ready for `sendTransaction`. What every node would
 * refuse is refused here, with `invalid-transaction`; whether the account has what it spends is for nodes to say.
 */
export class TransactionBuilder {
    /** A payment. */
    static basic(o: TransactionOptions & { recipient: string; value: bigint }): Uint8Array {
        const { pair, recipient, value, terms } = payment(o);
        return call(() => pair.pay(recipient, value, '', ...terms));
    }

    /** A payment with a message, which takes at most 64 bytes in UTF-8 and is public. */
    static withMessage(o: TransactionOptions & { recipient: string; value: bigint; message: string }): Uint8Array {
        const { pair, recipient, value, terms } = payment(o);
        const message = text(o.message, 'message');
        return call(() => pair.pay(recipient, value, message, ...terms));
    }

    /** Makes the account a staker, its stake delegated to a validator. At least 100 NIM. */
    static stake(o: TransactionOptions & { delegation: string; value: bigint }): Uint8Array {
        const { pair, terms } = common(o);
        const delegation = text(o.delegation, 'delegation');
        const value = amount(o.value, 'value');
        return call(() => pair.createStaker(delegation, value, ...terms));
    }

    /** Adds to the stake of an account that is a staker already. */
    static addStake(o: TransactionOptions & { value: bigint }): Uint8Array {
        const { pair, terms } = common(o);
        const value = amount(o.value, 'value');
        return call(() => pair.addStake(value, ...terms));
    }

    /** Delegates the stake to another validator, or to none. Inactive stake becomes active again if asked for. */
    static updateStaker(o: TransactionOptions & { delegation?: string; reactivateAllStake?: boolean }): Uint8Array {
        const { pair, terms } = common(o);
        const delegation = o.delegation === undefined ? undefined : text(o.delegation, 'delegation');
        const reactivate = o.reactivateAllStake ?? false;
        if (typeof reactivate !== 'boolean') throw invalid('reactivateAllStake', 'a boolean');
        return call(() => pair.updateStaker(delegation, reactivate, ...terms));
    }

    /**
     * Makes so much of the stake active and the rest inactive. The first of three steps out of staking: inactive stake
     * can be retired after the next election block.
     */
    static setActiveStake(o: TransactionOptions & { activeStake: bigint }): Uint8Array {
        const { pair, terms } = common(o);
        const active = amount(o.activeStake, 'activeStake');
        return call(() => pair.setActiveStake(active, ...terms));
    }

    /** Retires inactive stake, for good. The second of three steps out of staking. */
    static retireStake(o: TransactionOptions & { value: bigint }): Uint8Array {
        const { pair, terms } = common(o);
        const value = amount(o.value, 'value');
        return call(() => pair.retireStake(value, ...terms));
    }

    /** Pays retired stake out to the account, less the fee. The last of three steps out of staking. */
    static unstake(o: TransactionOptions & { value: bigint }): Uint8Array {
        const { pair, terms } = common(o);
        const value = amount(o.value, 'value');
        return call(() => pair.removeStake(value, ...terms));
    }
}

/** Whether it is a Nimiq address: `NQ…` with its check digits right, with or without spaces, or 40 hexadecimal digits. */
export function isValidAddress(address: string): boolean {
    return typeof address === 'string' && call((core) => core.isValidAddress(address));
}

function common(o: TransactionOptions): { pair: RawKeyPair; terms: [bigint, number, string] } {
    if (typeof o !== 'object' || o === null) throw invalid('options', 'an object');
    const pair = rawKeyPair(o.keyPair, 'keyPair');
    const fee = o.fee === undefined ? 0n : amount(o.fee, 'fee');
    const height = o.validityStartHeight;
    if (typeof height !== 'number') throw invalid('validityStartHeight', 'a number');
    if (!Number.isInteger(height) || height < 0 || height > MAX_BLOCK_NUMBER) {
        throw new PicoSyncError('invalid-transaction', `"validityStartHeight" is no block number: it is a whole number up to ${MAX_BLOCK_NUMBER}.`);
    }
    return { pair, terms: [fee, height, text(o.network, 'network')] };
}

function payment(o: TransactionOptions & { recipient: string; value: bigint }) {
    return { ...common(o), recipient: text(o.recipient, 'recipient'), value: amount(o.value, 'value') };
}

/** The wasm's integers would take it modulo 2^64. */
function amount(value: unknown, name: string): bigint {
    if (typeof value !== 'bigint') throw invalid(name, 'a bigint, in Luna');
    if (value < 0n || value > MAX_LUNA) {
        throw new PicoSyncError('invalid-transaction', `"${name}" is no amount: it is from 0 to 2^53 - 1 Luna.`);
    }
    return value;
}

/** Half of a surrogate pair has no UTF-8, and would become another character. */
function text(value: unknown, name: string): string {
    if (typeof value !== 'string') throw invalid(name, 'a string');
    if (/\p{Surrogate}/u.test(value)) throw invalid(name, 'well-formed Unicode');
    return value;
}

/** As BIP-39 wants it, whatever keyboard it was typed on. */
function normalise(password: unknown): string {
    return text(password, 'password').normalize('NFKD');
}

/** By its tag: a page may have arrays of another realm. */
function bytes(value: unknown, name: string): void {
    if (Object.prototype.toString.call(value) !== '[object Uint8Array]') throw invalid(name, 'a Uint8Array');
}

function invalid(name: string, wanted: string): PicoSyncError {
    return new PicoSyncError('invalid-options', `"${name}" takes ${wanted}.`);
}

function freed(what: string): never {
    throw new PicoSyncError('closed', `This ${what} has been freed.`);
}

function release(raw: RawMnemonic | RawKeyPair | undefined): void {
    if (raw && !over) call(() => raw.free());
}
