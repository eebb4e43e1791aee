// What is kept secret, and how: a password becomes a key (Argon2id), and the key seals bytes (AES-256-GCM). Nothing here
// stores anything, and nothing here knows what the bytes mean; `vault.ts` does.

import { toHex } from '../lib/hex.js';

/** What makes a password slow to guess. Kept with what it protects, so that it can be raised. */
export interface KdfParameters {
    name: 'argon2id';
    /** In KiB. */
    memory: number;
    iterations: number;
    parallelism: number;
}

/**
 * For new passwords. Three passes over 64 MiB: the second choice of RFC 9106, several times OWASP's least (two passes over
 * 19 MiB), and half a second on a phone. More lanes would only help an attacker, as here they run one after the other.
 */
export const CURRENT_KDF: KdfParameters = { name: 'argon2id', memory: 65_536, iterations: 3, parallelism: 1 };
/** What a stored record may ask for at most: a damaged one must not take all memory. */
const MOST = { memory: 1_048_576, iterations: 64, parallelism: 16 };
export const SALT_BYTES = 16;
const IV_BYTES = 12;

/** Bytes that only the key opens, and only together with what they were sealed with. */
export interface Sealed {
    iv: Uint8Array<ArrayBuffer>;
    data: Uint8Array<ArrayBuffer>;
}

/** What the worker is given. The password's bytes are moved to it, and are gone here. */
export type KdfRequest = { password: Uint8Array<ArrayBuffer>; salt: Uint8Array<ArrayBuffer>; parameters: KdfParameters };
/** What it answers with. */
export type KdfResponse = { key: CryptoKey } | { problem: string };

/** Something is not as it was written: by accident or on purpose. */
export class DamagedError extends Error {
    override readonly name = 'DamagedError';
}
/** The key does not open it. */
export class WrongKeyError extends Error {
    override readonly name = 'WrongKeyError';
}

export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
    return crypto.getRandomValues(new Uint8Array(length));
}

/** As the same bytes whatever keyboard it was typed on. Whoever gets them wipes them. */
export function passwordBytes(password: string): Uint8Array<ArrayBuffer> {
    return new TextEncoder().encode(password.normalize('NFKC'));
}

/** Throws `DamagedError` if these can't be parameters that this page once wrote. */
export function checkParameters(parameters: KdfParameters): void {
    const within = (value: unknown, least: number, most: number) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
    const { name, memory, iterations, parallelism } = parameters ?? {};
    const right =
        name === 'argon2id' &&
        within(iterations, 1, MOST.iterations) &&
        within(parallelism, 1, MOST.parallelism) &&
        within(memory, 8 * parallelism, MOST.memory);
    if (!right) throw new DamagedError('The stored key parameters make no sense.');
}

/**
 * The key that a password stands for, in a worker, so that the page goes on meanwhile. The key can't be read, only used;
 * its bytes never come to this thread, and the worker with all its memory is gone afterwards.
 */
export async function deriveKey(password: string, salt: Uint8Array<ArrayBuffer>, parameters: KdfParameters): Promise<CryptoKey> {
    checkParameters(parameters);
    const worker = new Worker(new URL('./kdf.worker.ts', import.meta.url), { type: 'module', name: 'password' });
    try {
        return await new Promise<CryptoKey>((resolve, reject) => {
            worker.onmessage = ({ data }: MessageEvent<KdfResponse>) => ('key' in data ? resolve(data.key) : reject(new Error(data.problem)));
            worker.onerror = (event) => reject(new Error(`The worker for passwords can’t run${event.message ? `: ${event.message}` : '.'}`));
            const bytes = passwordBytes(password);
            worker.postMessage({ password: bytes, salt, parameters } satisfies KdfRequest, [bytes.buffer]);
        });
    } finally {
        worker.terminate();
    }
}

/** Seals `plain`, bound to `about`: it opens only together with the same. Wiping `plain` is left to whoever has it. */
export async function seal(key: CryptoKey, plain: Uint8Array<ArrayBuffer>, about: unknown): Promise<Sealed> {
    const iv = randomBytes(IV_BYTES);
    const data = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: canonical(about) }, key, plain);
    return { iv, data: new Uint8Array(data) };
}

/** What was sealed. Whoever gets it wipes it. Throws `WrongKeyError` if the key, or `about`, or the bytes are not the same. */
export async function unseal(key: CryptoKey, { iv, data }: Sealed, about: unknown): Promise<Uint8Array<ArrayBuffer>> {
    try {
        return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv, additionalData: canonical(about) }, key, data));
    } catch (error) {
        throw new WrongKeyError('It can’t be opened with this key.', { cause: error });
    }
}

/**
 * A checksum over a sealed record. It tells accidents from wrong passwords, no more: whoever changes the one on purpose can
 * change the other. Against that there is the seal.
 */
export async function checksum(sealed: Sealed, about: unknown): Promise<string> {
    const parts = [sealed.iv, sealed.data, canonical(about)];
    const all = new Uint8Array(parts.reduce((total, { length }) => total + length, 0));
    let at = 0;
    for (const part of parts) {
        all.set(part, at);
        at += part.length;
    }
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', all));
    return toHex(hash);
}

/** The same bytes for the same content, in whichever order an object's properties came back from the database. */
export function canonical(value: unknown): Uint8Array<ArrayBuffer> {
    const sorted = (part: unknown): unknown => {
        if (part instanceof Uint8Array) return ['bytes', ...part];
        if (Array.isArray(part)) return part.map(sorted);
        if (typeof part !== 'object' || part === null) return part;
        const entries = Object.entries(part).filter(([, inner]) => inner !== undefined);
        return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, inner]) => [name, sorted(inner)]));
    };
    return new TextEncoder().encode(JSON.stringify(sorted(value)));
}
