// From a password's bytes to a key, on the thread that it is called on: `kdf.worker.ts` calls it on one of its own.

import { argon2id } from 'hash-wasm';

import type { KdfRequest } from './crypto.js';

/** The key, which can seal and unseal and can't be read. Wipes the password's bytes. */
export async function keyOf({ password, salt, parameters }: KdfRequest): Promise<CryptoKey> {
    let raw: Uint8Array<ArrayBuffer> | undefined;
    try {
        const hash = await argon2id({
            password,
            salt,
            memorySize: parameters.memory,
            iterations: parameters.iterations,
            parallelism: parameters.parallelism,
            hashLength: 32,
            outputType: 'binary',
        });
        raw = hash as Uint8Array<ArrayBuffer>;
        return await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt']);
    } finally {
        password.fill(0);
        raw?.fill(0);
    }
}
