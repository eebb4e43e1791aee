// Secrets are gone from the wasm's memory once they are freed: all of it is searched, the stack too.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, beforeEach, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import * as nimiq from '@nimiq/core';

import { Generator, loadWallet, occurrences } from './support.mjs';

/** Bytes of a secret that are looked for: half of one is as bad. */
const TELLING = 16;

const generator = new Generator();
let wallet;
let memory;
before(async () => {
    ({ wallet, memory } = await loadWallet());
    console.log(`WALLET_TEST_SEED=${generator.seed}`);
});

/** What each secret would be found by. */
const traces = (secrets) =>
    Object.entries(secrets).flatMap(([name, bytes]) => [
        [`the beginning of ${name}`, Buffer.from(bytes).subarray(0, TELLING)],
        [`the end of ${name}`, Buffer.from(bytes).subarray(-TELLING)],
    ]);

const found = (secrets) => traces(secrets).filter(([, bytes]) => occurrences(memory, bytes) > 0).map(([name]) => name);

/** What Ed25519 makes of a private key (RFC 8032, 5.1.5): the scalar that signs, as it is and reduced, and what makes nonces. */
function expanded(key) {
    const hash = createHash('sha512').update(key).digest();
    const scalar = hash.subarray(0, 32);
    scalar[0] &= 248;
    scalar[31] = (scalar[31] & 127) | 64;
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const reduced = (BigInt(`0x${Buffer.from(scalar).reverse().toString('hex')}`) % order).toString(16).padStart(64, '0');
    return { 'the scalar': scalar, 'the reduced scalar': Buffer.from(reduced, 'hex').reverse(), 'the prefix': hash.subarray(32) };
}

describe('a key pair', () => {
    let key;
    let secrets;
    beforeEach(() => {
        key = generator.bytes(32);
        secrets = { 'the private key': key, ...expanded(key) };
    });

    test('is in memory while it is in use, once', () => {
        const pair = wallet.KeyPair.fromPrivateKey(key);
        assert.equal(occurrences(memory, Buffer.from(key)), 1);
        pair.free();
    });

    for (const [how, use] of [
        ['made of bytes', () => wallet.KeyPair.fromPrivateKey(key)],
        ['made of hexadecimal digits', () => {
            const digits = Buffer.from(key).toString('hex');
            secrets['the digits'] = Buffer.from(digits);
            return wallet.KeyPair.fromPrivateKey(digits);
        }],
        ['that signed', () => {
            const pair = wallet.KeyPair.fromPrivateKey(key);
            pair.sign(generator.bytes(1000));
            return pair;
        }],
        ['that was asked for everything', () => {
            const pair = wallet.KeyPair.fromPrivateKey(key);
            assert.deepEqual(pair.privateKey(), key);
            assert.ok(pair.address && pair.publicKey);
            return pair;
        }],
        ['that made transactions', () => {
            const keyPair = wallet.KeyPair.fromPrivateKey(key);
            const common = { keyPair, value: 10_000_000n, validityStartHeight: 1, network: 'unit-albatross' };
            const { address } = wallet.KeyPair.generate();
            wallet.TransactionBuilder.withMessage({ ...common, recipient: address, message: 'for the memory' });
            wallet.TransactionBuilder.stake({ ...common, delegation: address });
            wallet.TransactionBuilder.unstake(common);
            return keyPair;
        }],
        ['that was refused a transaction', () => {
            const keyPair = wallet.KeyPair.fromPrivateKey(key);
            const options = { keyPair, recipient: keyPair.address, value: 1n, validityStartHeight: 1, network: 'unit-albatross' };
            assert.throws(() => wallet.TransactionBuilder.basic(options), { code: 'invalid-transaction' });
            return keyPair;
        }],
    ]) {
        test(`${how} is wiped when freed`, () => {
            const pair = use();
            assert.notDeepEqual(found(secrets), []);
            pair.free();
            assert.deepEqual(found(secrets), []);
        });
    }

    test('is wiped at the end of its block', { skip: !Symbol.dispose && 'no Symbol.dispose here' }, () => {
        const pair = wallet.KeyPair.fromPrivateKey(key);
        assert.notDeepEqual(found(secrets), []);
        pair[Symbol.dispose]();
        assert.deepEqual(found(secrets), []);
    });

    test('can be freed twice, and not be used afterwards', () => {
        const pair = wallet.KeyPair.fromPrivateKey(key);
        pair.free();
        pair.free();
        for (const use of [() => pair.address, () => pair.publicKey, () => pair.privateKey(), () => pair.sign(key)]) {
            assert.throws(use, { name: 'PicoSyncError', code: 'closed' });
        }
    });

    test('shows nothing of its key', () => {
        const pair = wallet.KeyPair.fromPrivateKey(key);
        const digits = Buffer.from(key).toString('hex');
        const shown = [inspect(pair, { depth: 9, showHidden: true, getters: true }), JSON.stringify(pair), String(pair)].join();
        for (const part of [digits.slice(0, TELLING), digits.slice(-TELLING), key.slice(0, 4).join()]) assert.ok(!shown.includes(part));
        pair.free();
    });

    test('that can not be made leaves nothing', () => {
        for (const bad of [key.slice(1), Buffer.from(key).toString('hex').slice(1), `${Buffer.from(key).toString('hex').slice(2)}zz`]) {
            assert.throws(() => wallet.KeyPair.fromPrivateKey(bad), (error) => {
                const shown = inspect(error, { depth: 9 });
                return error.code === 'invalid-options' && !shown.includes(String(bad).slice(0, TELLING));
            });
            secrets['what was given'] = Buffer.from(bad);
        }
        assert.deepEqual(found(secrets), []);
    });
});

/** The same words in an order in which they are no mnemonic, old or new: of all orders, one in 128 is. */
function misplaced(words) {
    for (let from = 1; from < words.length; from += 1) {
        const rotated = [...words.slice(from), ...words.slice(0, from)];
        try {
            nimiq.MnemonicUtils.getMnemonicType(rotated);
        } catch {
            return rotated;
        }
    }
    return assert.fail('each order has a right checksum');
}

describe('a mnemonic', () => {
    for (const words of [12, 24]) {
        test(`of ${words} words is wiped when freed, and what came of it`, () => {
            const entropy = generator.bytes((words / 3) * 4);
            const list = nimiq.MnemonicUtils.entropyToMnemonic(entropy);
            const indices = Uint16Array.from(list, (word) => nimiq.MnemonicUtils.ENGLISH_WORDLIST.indexOf(word));
            const password = Buffer.from(generator.bytes(16)).toString('hex');
            const mnemonic = wallet.Mnemonic.parse(list.join(' '));
            assert.ok(occurrences(memory, Buffer.from(indices.buffer)) > 0);

            const seed = mnemonic.toSeed(password);
            const pair = wallet.KeyPair.fromMnemonic(mnemonic, undefined, password);
            const master = nimiq.MnemonicUtils.mnemonicToExtendedPrivateKey(list, password);
            const secrets = {
                'the entropy': entropy,
                'the words': Buffer.from(mnemonic.words.join(' ')),
                'the indices': new Uint8Array(indices.buffer),
                'the password': Buffer.from(password),
                'the seed': seed,
                'the master key': master.privateKey.serialize(),
                'the chain code': master.chainCode,
                'the private key': pair.privateKey(),
            };
            pair.free();
            mnemonic.free();
            assert.deepEqual(found(secrets), []);
            assert.throws(() => mnemonic.words, { name: 'PicoSyncError', code: 'closed' });
        });
    }

    test('that can not be read leaves nothing, and no word in the error', () => {
        const list = nimiq.MnemonicUtils.entropyToMnemonic(generator.bytes(32));
        /** All of the errors, with their stacks, which are the same up to here. */
        const refusals = (phrases) =>
            phrases.map((words) => {
                try {
                    wallet.Mnemonic.parse(words);
                } catch (error) {
                    assert.equal(error.code, 'invalid-options');
                    return inspect(error, { depth: 9, showHidden: true });
                }
                return assert.fail('it was read');
            });
        // The list of words has some that are in every error and its stack. But what is said of other words that are wrong in
        // the same way is the same, unless something of them is in it.
        const others = Array(23).fill('abandon');
        for (const [bad, other] of [
            [[...list.slice(0, 23), 'nimiq'], [...others, 'mars']],
            [list.slice(0, 23), others],
            [misplaced(list), ['zoo', ...others]],
        ].map((pair) => pair.map((all) => all.join(' ')))) {
            const [shown, expected] = refusals([bad, other]);
            assert.equal(shown, expected);
            assert.deepEqual(found({ 'the words': Buffer.from(bad) }), []);
        }
    });

    test('shows nothing of itself', () => {
        const shown = (mnemonic) => [inspect(mnemonic, { depth: 9, showHidden: true }), JSON.stringify(mnemonic), String(mnemonic)];
        // What two have in common is nothing of either.
        assert.deepEqual(shown(wallet.Mnemonic.generate()), shown(wallet.Mnemonic.parse(`${'abandon '.repeat(23)}art`)));
    });
});

test('a key pair that nobody holds is wiped when it is collected', { timeout: 10_000 }, async ({ signal }) => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc');
    const key = generator.bytes(32);
    const secrets = { 'the private key': key, ...expanded(key) };
    wallet.KeyPair.fromPrivateKey(key);
    assert.notDeepEqual(found(secrets), []);
    // Finalizers run in a task of their own, some time after the collection that they are told of.
    while (found(secrets).length > 0 && !signal.aborted) {
        collect();
        await new Promise((done) => setImmediate(done));
    }
    assert.deepEqual(found(secrets), []);
    // The wallet goes on.
    assert.ok(wallet.KeyPair.generate().address);
});
