// Sealing: what comes out is what went in, and only for who has the password and the same record.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';

import { loadModule } from './support.mjs';

let crypto;
let kdf;
before(async () => {
    crypto = await loadModule({ after }, 'vault/crypto.ts');
    kdf = await loadModule({ after }, 'vault/kdf.ts');
});

/** Cheap ones: what is tested here doesn't depend on them. */
const CHEAP = { name: 'argon2id', memory: 64, iterations: 1, parallelism: 1 };
const bytes = (length) => new Uint8Array(randomBytes(length));
const keyFor = (password, salt, parameters = CHEAP) => kdf.keyOf({ password: crypto.passwordBytes(password), salt, parameters });

test('current parameters are at least those that OWASP recommends', () => {
    const { name, memory, iterations, parallelism } = crypto.CURRENT_KDF;
    assert.equal(name, 'argon2id');
    assert.ok(memory >= 19 * 1024 && iterations >= 2 && parallelism >= 1);
    crypto.checkParameters(crypto.CURRENT_KDF);
});

test('the key is that of Argon2id as others compute it', async () => {
    // RFC 9106's own vector needs a secret and associated data; this one is of the reference implementation's tests.
    const parameters = { name: 'argon2id', memory: 65_536, iterations: 2, parallelism: 1 };
    const salt = new TextEncoder().encode('somesalt');
    const expected = Buffer.from('09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7', 'hex');
    const key = await keyFor('password', salt, parameters);
    const iv = bytes(12);
    const reference = await globalThis.crypto.subtle.importKey('raw', expected, 'AES-GCM', false, ['encrypt']);
    const sealed = await globalThis.crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: crypto.canonical('about') }, reference, new Uint8Array([1, 2, 3]));
    assert.deepEqual(await crypto.unseal(key, { iv, data: new Uint8Array(sealed) }, 'about'), new Uint8Array([1, 2, 3]));
});

test('a round trip gives back the same, of any length', async () => {
    const key = await keyFor('correct horse', bytes(16));
    for (const length of [0, 1, 32, 200, 5000]) {
        const plain = bytes(length);
        const about = { id: 'a', kind: 'key', salt: bytes(16) };
        const sealed = await crypto.seal(key, plain, about);
        // Of a byte or two, what comes out may be what went in, by chance.
        if (length >= 16) assert.notDeepEqual(sealed.data.slice(0, length), plain);
        assert.deepEqual(await crypto.unseal(key, sealed, about), plain);
    }
    // No two are alike.
    const [one, other] = await Promise.all([1, 2].map(() => crypto.seal(key, new Uint8Array(32), 'same')));
    assert.notDeepEqual(one.iv, other.iv);
    assert.notDeepEqual(one.data, other.data);
});

test('the order of properties does not matter, whatever else changes does', async () => {
    const key = await keyFor('correct horse', bytes(16));
    const about = { version: 1, id: 'a', kdf: { memory: 64, salt: new Uint8Array([1, 2]) } };
    const sealed = await crypto.seal(key, bytes(32), about);
    await crypto.unseal(key, sealed, { kdf: { salt: new Uint8Array([1, 2]), memory: 64 }, id: 'a', version: 1 });
    for (const changed of [
        { ...about, version: 2 },
        { ...about, id: 'b' },
        { ...about, more: true },
        { ...about, kdf: { ...about.kdf, memory: 65 } },
        { ...about, kdf: { ...about.kdf, salt: new Uint8Array([1, 3]) } },
        { ...about, kdf: { ...about.kdf, salt: [1, 2] } },
    ]) {
        await assert.rejects(crypto.unseal(key, sealed, changed), { name: 'WrongKeyError' }, JSON.stringify(changed));
    }
    for (const part of ['iv', 'data']) {
        for (let at = 0; at < sealed[part].length; at += 1) {
            const broken = { ...sealed, [part]: sealed[part].slice() };
            broken[part][at] ^= 1 << at % 8;
            await assert.rejects(crypto.unseal(key, broken, about), { name: 'WrongKeyError' });
            assert.notEqual(await crypto.checksum(broken, about), await crypto.checksum(sealed, about));
        }
    }
    await assert.rejects(crypto.unseal(key, { ...sealed, data: sealed.data.slice(0, -1) }, about), { name: 'WrongKeyError' });
});

test('another password, salt or parameter is another key', async () => {
    const salt = bytes(16);
    const sealed = await crypto.seal(await keyFor('correct horse', salt), bytes(32), '');
    // The same characters, however a keyboard composes them.
    await crypto.unseal(await keyFor('correct horse', salt), sealed, '');
    for (const key of [
        await keyFor('correct horsE', salt),
        await keyFor('correct horse ', salt),
        await keyFor('correct horse', bytes(16)),
        await keyFor('correct horse', salt, { ...CHEAP, iterations: 2 }),
        await keyFor('correct horse', salt, { ...CHEAP, memory: 65 }),
    ]) {
        await assert.rejects(crypto.unseal(key, sealed, ''), { name: 'WrongKeyError' });
    }
    const composed = await crypto.seal(await keyFor('Grüße 1234', salt), bytes(8), '');
    await crypto.unseal(await keyFor('Gru\u0308ße 1234', salt), composed, '');
});

test('the key can’t be read, and the password’s bytes are wiped', async () => {
    const password = crypto.passwordBytes('correct horse');
    const key = await kdf.keyOf({ password, salt: bytes(16), parameters: CHEAP });
    assert.equal(key.extractable, false);
    await assert.rejects(globalThis.crypto.subtle.exportKey('raw', key));
    assert.deepEqual(password, new Uint8Array(password.length));
    // Also when it comes to nothing.
    const other = crypto.passwordBytes('correct horse');
    await assert.rejects(kdf.keyOf({ password: other, salt: bytes(1), parameters: CHEAP }));
    assert.deepEqual(other, new Uint8Array(other.length));
});

test('parameters that make no sense are not followed', () => {
    for (const wrong of [undefined, null, {}, { ...CHEAP, name: 'pbkdf2' }, { ...CHEAP, memory: 2 ** 31 }, { ...CHEAP, memory: 7 }, { ...CHEAP, iterations: 0 }, { ...CHEAP, iterations: 1e9 }, { ...CHEAP, parallelism: 1.5 }]) {
        assert.throws(() => crypto.checkParameters(wrong), { name: 'DamagedError' }, JSON.stringify(wrong));
    }
});
