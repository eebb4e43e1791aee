// The same keys, addresses, transactions and signatures as `@nimiq/core` makes, byte for byte, over generated inputs.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import * as nimiq from '@nimiq/core';

import { Generator, NETWORKS, SUPPLY, loadWallet } from './support.mjs';

/** Inputs to each test. */
const ROUNDS = 100;
/** Fewer where each takes a derivation from a mnemonic. */
const SLOW_ROUNDS = 12;

const generator = new Generator();
const hex = (bytes) => Buffer.from(bytes).toString('hex');

let wallet;
before(async () => {
    ({ wallet } = await loadWallet());
    console.log(`WALLET_TEST_SEED=${generator.seed}`);
});

/** A key pair of ours and theirs. */
function pair() {
    const key = generator.bytes(32);
    return { ours: wallet.KeyPair.fromPrivateKey(key), theirs: nimiq.KeyPair.derive(new nimiq.PrivateKey(key)) };
}

/** Text of characters that this Node has heard of. It would not normalise those of a later Unicode, as the wallet does. */
function knownText(maxBytes) {
    for (;;) {
        const text = generator.text(maxBytes);
        if (!/\p{Cn}/u.test(text)) return text;
    }
}

describe('as @nimiq/core', () => {
    for (const words of [12, 15, 18, 21, 24]) {
        test(`mnemonics of ${words} words, their seeds and keys`, () => {
            for (let round = 0; round < SLOW_ROUNDS; round += 1) {
                const entropy = generator.bytes((words / 3) * 4);
                const theirs = nimiq.MnemonicUtils.entropyToMnemonic(entropy);
                assert.equal(theirs.length, words);
                const shown = generator.pick([theirs.join(' '), theirs.join('\t\n ').toUpperCase(), `  ${theirs.join('  ')} `]);
                const ours = wallet.Mnemonic.parse(shown);
                assert.deepEqual(ours.words, theirs);

                const password = generator.pick(['', knownText(40)]);
                // They leave it to the caller to normalise, as BIP-39 demands.
                const normalised = password.normalize('NFKD');
                assert.equal(hex(ours.toSeed(password)), hex(nimiq.MnemonicUtils.mnemonicToSeed(theirs, normalised)));

                const depth = generator.below(6);
                const path = generator.pick([undefined, ['m', ...Array.from({ length: depth }, () => `${generator.below(2 ** 31)}'`)].join('/')]);
                const master = nimiq.MnemonicUtils.mnemonicToExtendedPrivateKey(theirs, normalised);
                const expected = nimiq.KeyPair.derive(master.derivePath(path ?? "m/44'/242'/0'/0'").privateKey);
                const derived = wallet.KeyPair.fromMnemonic(ours, path, password);
                assert.equal(hex(derived.privateKey()), expected.privateKey.toHex());
                assert.equal(derived.publicKey, expected.publicKey.toHex());
                assert.equal(derived.address, expected.toAddress().toUserFriendlyAddress());
            }
        });
    }

    test('generated mnemonics', () => {
        for (let round = 0; round < ROUNDS; round += 1) {
            const count = generator.pick([undefined, 12, 15, 18, 21, 24]);
            const { words } = count ? wallet.Mnemonic.generate({ words: count }) : wallet.Mnemonic.generate();
            assert.equal(words.length, count ?? 24);
            assert.deepEqual(wallet.Mnemonic.parse(words.join(' ')).words, words);
            // Not to be taken for one of the older kind, which had 24 words. They know no shorter ones.
            if (words.length === 24) assert.equal(nimiq.MnemonicUtils.getMnemonicType(words), nimiq.MnemonicUtils.MnemonicType.BIP39);
        }
    });

    test('keys, addresses and signatures', () => {
        for (let round = 0; round < ROUNDS; round += 1) {
            const { ours, theirs } = pair();
            assert.equal(ours.publicKey, theirs.publicKey.toHex());
            assert.equal(ours.address, theirs.toAddress().toUserFriendlyAddress());
            assert.equal(wallet.KeyPair.fromPrivateKey(theirs.privateKey.toHex()).address, ours.address);

            const message = generator.bytes(generator.below(300));
            const signature = ours.sign(message);
            assert.equal(hex(signature), theirs.sign(message).toHex());
            assert.equal(wallet.KeyPair.verify(ours.publicKey, message, signature), true);
            signature[generator.below(64)] ^= 1 << generator.below(8);
            const accepted = theirs.publicKey.verify(nimiq.Signature.deserialize(signature), message);
            assert.equal(wallet.KeyPair.verify(ours.publicKey, message, signature), accepted);
            assert.equal(accepted, false);
        }
    });

    test('what is an address', () => {
        const isTheirs = (text) => {
            try {
                nimiq.Address.fromAny(text);
                return true;
            } catch {
                return false;
            }
        };
        let valid = 0;
        for (let round = 0; round < 20 * ROUNDS; round += 1) {
            const address = new nimiq.Address(generator.bytes(20));
            let text = generator.pick([address.toUserFriendlyAddress(), address.toUserFriendlyAddress().replaceAll(' ', ''), address.toHex()]);
            if (generator.below(2)) {
                const at = generator.below(text.length);
                const letter = generator.pick([...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef ü', '']);
                text = text.slice(0, at) + letter + text.slice(at + generator.below(2));
            }
            valid += Number(isTheirs(text));
            assert.equal(wallet.isValidAddress(text), isTheirs(text), JSON.stringify(text));
        }
        // Enough of either to mean something.
        assert.ok(valid > 5 * ROUNDS && valid < 19 * ROUNDS, `${valid} valid`);
    });
});

/** Each kind of transaction: what both sides are given, how each makes it. */
const KINDS = {
    basic: {
        options: () => ({ recipient: address(), value: true }),
        ours: (o) => wallet.TransactionBuilder.basic(o),
        theirs: (from, o, ...rest) => nimiq.TransactionBuilder.newBasic(from, nimiq.Address.fromAny(o.recipient), o.value, ...rest),
    },
    withMessage: {
        options: () => ({ recipient: address(), value: true, message: generator.text(64) }),
        ours: (o) => wallet.TransactionBuilder.withMessage(o),
        theirs: (from, o, ...rest) => {
            const to = nimiq.Address.fromAny(o.recipient);
            return nimiq.TransactionBuilder.newBasicWithData(from, to, new TextEncoder().encode(o.message), o.value, ...rest);
        },
    },
    stake: {
        min: 10_000_000n,
        options: () => ({ delegation: address(), value: true }),
        ours: (o) => wallet.TransactionBuilder.stake(o),
        theirs: (from, o, ...rest) => nimiq.TransactionBuilder.newCreateStaker(from, nimiq.Address.fromAny(o.delegation), o.value, ...rest),
    },
    addStake: {
        options: () => ({ value: true }),
        ours: (o) => wallet.TransactionBuilder.addStake(o),
        theirs: (from, o, ...rest) => nimiq.TransactionBuilder.newAddStake(from, from, o.value, ...rest),
    },
    updateStaker: {
        options: () => ({ delegation: generator.pick([undefined, address()]), reactivateAllStake: generator.pick([true, false]) }),
        ours: (o) => wallet.TransactionBuilder.updateStaker(o),
        theirs: (from, o, ...rest) => {
            const to = o.delegation && nimiq.Address.fromAny(o.delegation);
            return nimiq.TransactionBuilder.newUpdateStaker(from, to, o.reactivateAllStake, ...rest);
        },
    },
    setActiveStake: {
        options: () => ({ activeStake: generator.luna(0n, SUPPLY) }),
        ours: (o) => wallet.TransactionBuilder.setActiveStake(o),
        theirs: (from, o, ...rest) => nimiq.TransactionBuilder.newSetActiveStake(from, o.activeStake, ...rest),
    },
    retireStake: {
        options: () => ({ value: true }),
        ours: (o) => wallet.TransactionBuilder.retireStake(o),
        theirs: (from, o, ...rest) => nimiq.TransactionBuilder.newRetireStake(from, o.value, ...rest),
    },
    unstake: {
        options: () => ({ value: true }),
        ours: (o) => wallet.TransactionBuilder.unstake(o),
        theirs: (from, o, ...rest) => nimiq.TransactionBuilder.newRemoveStake(from, o.value, ...rest),
    },
};

function address() {
    const made = new nimiq.Address(generator.bytes(20));
    return generator.pick([made.toUserFriendlyAddress(), made.toHex()]);
}

describe('transactions as of @nimiq/core', () => {
    for (const [kind, { options, ours, theirs, min = 1n }] of Object.entries(KINDS)) {
        for (const [network, id] of Object.entries(NETWORKS)) {
            test(`${kind} on ${network}`, () => {
                for (let round = 0; round < ROUNDS / 4; round += 1) {
                    const keys = pair();
                    const fee = generator.pick([undefined, 0n, generator.luna(0n, SUPPLY - min)]);
                    const given = options();
                    if (given.value) given.value = generator.luna(min, SUPPLY - (fee ?? 0n));
                    const height = generator.blockNumber();
                    const made = ours({ ...given, keyPair: keys.ours, fee, validityStartHeight: height, network });

                    const transaction = theirs(keys.theirs.toAddress(), given, fee, height, id);
                    transaction.sign(keys.theirs, undefined);
                    assert.equal(hex(made), transaction.toHex());
                    // And it is one that nodes take.
                    nimiq.Transaction.deserialize(made).verify(1, id);
                }
            });
        }
    }
});
