// Whatever is wrong with what a page gives, the wallet says so with a `PicoSyncError`, and goes on.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { DIST } from '../package/support.mjs';
import { Generator, SUPPLY, loadWallet } from './support.mjs';

const LEGACY = `${'abandon '.repeat(23)}abandon`;
const VALID = `${'abandon '.repeat(23)}art`;

let wallet;
let keyPair;
let recipient;
before(async () => {
    ({ wallet } = await loadWallet());
    keyPair = wallet.KeyPair.generate();
    recipient = wallet.KeyPair.generate().address;
});

/** `call` throws the package's error with this code, and its message matches. */
function refused(code, call, message = /./) {
    assert.throws(call, (error) => {
        assert.ok(error instanceof wallet.PicoSyncError, `${error?.stack}`);
        assert.equal(error.code, code, error.message);
        assert.match(error.message, message);
        return true;
    });
}

test('the error is that of the main module', async () => {
    const { PicoSyncError } = await import(pathToFileURL(join(DIST, 'index.js')));
    assert.equal(wallet.PicoSyncError, PicoSyncError);
});

describe('a mnemonic', () => {
    for (const [what, words, message] of [
        ['nothing', undefined, /"words" takes a string/],
        ['a list', VALID.split(' '), /"words" takes a string/],
        ['no words', '', /not 0/],
        ['11 words', 'abandon '.repeat(11), /not 11/],
        ['13 words', 'abandon '.repeat(13), /not 13/],
        ['25 words', 'abandon '.repeat(25), /not 25/],
        ['a million words', 'abandon '.repeat(1e6), /not 1000000/],
        ['an unknown word', VALID.replace('abandon abandon', 'abandon nimiq'), /Word 2 /],
        ['a prefix of a word', VALID.replace('abandon', 'aband'), /Word 1 /],
        ['a word that is not ASCII', VALID.replace(/abandon/, 'ábandon'), /Word 1 /],
        ['half a character', VALID.replace('art', 'ar\ud800'), /Unicode/],
        ['a wrong checksum', VALID.replace('abandon', 'zoo'), /checksum/],
        ['12 words with a wrong checksum', 'abandon '.repeat(12), /checksum/],
        ['21 words with a wrong checksum', 'abandon '.repeat(21), /checksum/],
        ['words of a legacy account', LEGACY, /legacy/],
    ]) {
        test(`is not made of ${what}`, () => refused('invalid-options', () => wallet.Mnemonic.parse(words), message));
    }

    test('is generated of as many words as there are mnemonics of', () => {
        for (const words of [0, 11, 13, 25, -12, 12.5, 2 ** 32 + 12, NaN, '12', {}]) {
            refused('invalid-options', () => wallet.Mnemonic.generate({ words }), /12, 15, 18, 21 or 24/);
        }
        for (const given of [null, 12]) refused('invalid-options', () => wallet.Mnemonic.generate(given), /"options" takes an object/);
    });

    test('is made by its own functions only', () => {
        for (const given of [[], [{}], [Symbol()]]) refused('invalid-options', () => new wallet.Mnemonic(...given), /generate/);
    });

    test('gives a seed only for a password that is text', () => {
        const mnemonic = wallet.Mnemonic.parse(VALID);
        for (const password of [1, null, {}, 'half \udc00']) refused('invalid-options', () => mnemonic.toSeed(password), /"password"/);
        assert.deepEqual(mnemonic.toSeed(undefined), mnemonic.toSeed(''));
    });

    test('has methods for itself only', () => {
        const words = Object.getOwnPropertyDescriptor(wallet.Mnemonic.prototype, 'words').get;
        assert.throws(() => words.call({}), TypeError);
        assert.throws(() => words.call(keyPair), TypeError);
    });
});

describe('a key pair', () => {
    for (const [what, key] of [
        ['nothing', undefined],
        ['31 bytes', new Uint8Array(31)],
        ['33 bytes', new Uint8Array(33)],
        ['no bytes', new Uint8Array()],
        ['a list', Array(32).fill(1)],
        ['16-bit numbers', new Uint16Array(32)],
        ['a buffer', new ArrayBuffer(32)],
        ['63 digits', '1'.repeat(63)],
        ['65 digits', '1'.repeat(65)],
        ['other letters', 'g'.repeat(64)],
        ['digits with a prefix', `0x${'1'.repeat(64)}`],
        ['digits with spaces', ` ${'1'.repeat(62)} `],
    ]) {
        test(`is not made of ${what}`, () => refused('invalid-options', () => wallet.KeyPair.fromPrivateKey(key), /key/));
    }

    test('takes the bytes of another realm', async () => {
        const { runInNewContext } = await import('node:vm');
        const key = runInNewContext('new Uint8Array(32).fill(7)');
        assert.equal(wallet.KeyPair.fromPrivateKey(key).address, wallet.KeyPair.fromPrivateKey(Buffer.alloc(32, 7)).address);
    });

    for (const path of ['', 'm/', '/', "44'", "M/44'", 'm/44', "m/44'/", "m//44'", "m/44''", "m/44h", "m/-1'", "m/+1'", "m/1.5'", "m/0x1'", "m/ 1'", "m/2147483648'", "m/99999999999999999999'", `m${"/0'".repeat(256)}`, "m/٤'"]) {
        test(`has no path ${path.slice(0, 20)}`, () => {
            refused('invalid-options', () => wallet.KeyPair.fromMnemonic(wallet.Mnemonic.parse(VALID), path), /path/);
        });
    }

    test('is derived as deep as a path goes', () => {
        const mnemonic = wallet.Mnemonic.parse(VALID);
        assert.notEqual(wallet.KeyPair.fromMnemonic(mnemonic, `m${"/0'".repeat(255)}`).address, wallet.KeyPair.fromMnemonic(mnemonic, 'm').address);
    });

    test('is derived from a mnemonic only', () => {
        for (const mnemonic of [undefined, null, VALID, {}, keyPair]) refused('invalid-options', () => wallet.KeyPair.fromMnemonic(mnemonic), /"mnemonic"/);
    });

    test('is made by its own functions only', () => {
        for (const given of [[], [{}], [keyPair]]) refused('invalid-options', () => new wallet.KeyPair(...given), /generate/);
    });

    test('signs and checks bytes only', () => {
        const message = new Uint8Array(3);
        const signature = keyPair.sign(message);
        const verify = (...given) => () => wallet.KeyPair.verify(...given);
        refused('invalid-options', () => keyPair.sign('text'), /"message"/);
        refused('invalid-options', verify(keyPair.publicKey, 'text', signature), /"message"/);
        refused('invalid-options', verify(keyPair.publicKey, message, 'text'), /"signature"/);
        refused('invalid-options', verify(keyPair.publicKey, message, signature.slice(1)), /64 bytes/);
        refused('invalid-options', verify(1, message, signature), /"publicKey"/);
        refused('invalid-options', verify(keyPair.publicKey.slice(1), message, signature), /64 hex/);
        assert.equal(verify(keyPair.publicKey, message, signature)(), true);
    });

    test('that is no point of the curve, or the one that anything verifies under, verifies nothing', () => {
        for (const key of ['00'.repeat(32), 'ff'.repeat(32), `02${'00'.repeat(31)}`]) {
            assert.equal(wallet.KeyPair.verify(key, new Uint8Array(3), new Uint8Array(64)), false);
        }
    });
});

describe('an address', () => {
    test('is text', () => {
        for (const address of [undefined, null, 1, {}, [], 'half \ud800', '', 'NQ', 'NQ07', `NQ07 ${'0000 '.repeat(9)}`]) {
            assert.equal(wallet.isValidAddress(address), false);
        }
        assert.equal(wallet.isValidAddress(`NQ07 ${'0000 '.repeat(8)}`), true);
        assert.equal(wallet.isValidAddress('00'.repeat(20)), true);
    });
});

describe('a transaction', () => {
    const builder = (name) => wallet.TransactionBuilder[name];
    /** Good for each kind of transaction. */
    const good = () => ({
        keyPair, recipient, delegation: recipient, message: 'hello', value: 10_000_000n, activeStake: 0n, fee: 1n, validityStartHeight: 7, network: 'unit-albatross',
    });
    const kinds = ['basic', 'withMessage', 'stake', 'addStake', 'updateStaker', 'setActiveStake', 'retireStake', 'unstake'];
    const valued = kinds.filter((kind) => kind !== 'updateStaker' && kind !== 'setActiveStake');

    test('is made of what is right', () => {
        for (const kind of kinds) assert.ok(builder(kind)(good()) instanceof Uint8Array, kind);
    });

    for (const [what, code, change, message, only = kinds] of [
        ['a key pair that is none', 'invalid-options', { keyPair: {} }, /"keyPair"/],
        ['another object with the same class', 'invalid-options', () => ({ keyPair: Object.create(wallet.KeyPair.prototype) }), /"keyPair"/],
        ['a freed key pair', 'closed', () => {
            const freed = wallet.KeyPair.generate();
            freed.free();
            return { keyPair: freed };
        }, /freed/],
        ['a number for a fee', 'invalid-options', { fee: 1 }, /"fee"/],
        ['a negative fee', 'invalid-transaction', { fee: -1n }, /"fee"/],
        ['a fee beyond any amount', 'invalid-transaction', { fee: 2n ** 53n }, /"fee"/],
        ['a fee of 2^64', 'invalid-transaction', { fee: 2n ** 64n }, /"fee"/],
        ['a fee beyond the supply', 'invalid-transaction', { fee: SUPPLY + 1n }, /more than all/],
        ['a number for a value', 'invalid-options', { value: 1 }, /"value"/, valued],
        ['no value', 'invalid-options', { value: undefined }, /"value"/, valued],
        ['a value of 0', 'invalid-transaction', { value: 0n }, /is 0/, valued],
        ['a negative value', 'invalid-transaction', { value: -1n }, /"value"/, valued],
        ['a value of 2^64 + 1', 'invalid-transaction', { value: 2n ** 64n + 1n }, /"value"/, valued],
        ['a value beyond the supply', 'invalid-transaction', { value: SUPPLY + 1n, fee: 0n }, /more than all/, valued],
        ['value and fee beyond the supply', 'invalid-transaction', { value: SUPPLY, fee: 1n }, /more than all/, valued],
        ['an active stake beyond the supply', 'invalid-transaction', { activeStake: SUPPLY + 1n }, /more than all/, ['setActiveStake']],
        ['no active stake', 'invalid-options', { activeStake: undefined }, /"activeStake"/, ['setActiveStake']],
        ['too little stake', 'invalid-transaction', { value: 9_999_999n }, /100 NIM/, ['stake']],
        ['no height', 'invalid-options', { validityStartHeight: undefined }, /"validityStartHeight"/],
        ['a bigint for a height', 'invalid-options', { validityStartHeight: 7n }, /"validityStartHeight"/],
        ['a fraction of a height', 'invalid-transaction', { validityStartHeight: 7.5 }, /block number/],
        ['a height that is not a number', 'invalid-transaction', { validityStartHeight: NaN }, /block number/],
        ['a negative height', 'invalid-transaction', { validityStartHeight: -1 }, /block number/],
        ['a height of 2^32', 'invalid-transaction', { validityStartHeight: 2 ** 32 }, /block number/],
        ['no network', 'invalid-options', { network: undefined }, /"network"/],
        ['an unknown network', 'invalid-options', { network: 'mars-albatross' }, /main-albatross/],
        ['a network of before Albatross', 'invalid-options', { network: 'main' }, /main-albatross/],
        ['a recipient that is no address', 'invalid-address', { recipient: 'nobody' }, /address/, ['basic', 'withMessage']],
        ['a mistyped recipient', 'invalid-address', () => ({ recipient: `NQ08${recipient.slice(4)}`.replace('NQ08', recipient.startsWith('NQ08') ? 'NQ09' : 'NQ08') }), /mistyped/, ['basic', 'withMessage']],
        ['a recipient in lower case', 'invalid-address', () => ({ recipient: recipient.toLowerCase() }), /address/, ['basic', 'withMessage']],
        ['a list of recipients', 'invalid-options', () => ({ recipient: [recipient] }), /"recipient"/, ['basic', 'withMessage']],
        ['oneself as the recipient', 'invalid-transaction', () => ({ recipient: keyPair.address }), /sender itself/, ['basic', 'withMessage']],
        ['the staking contract as the recipient', 'invalid-transaction', { recipient: 'NQ77 0000 0000 0000 0000 0000 0000 0000 0001' }, /staking contract/, ['basic', 'withMessage']],
        ['a delegation that is no address', 'invalid-address', { delegation: '00' }, /address/, ['stake', 'updateStaker']],
        ['no delegation', 'invalid-options', { delegation: undefined }, /"delegation"/, ['stake']],
        ['a number for a delegation', 'invalid-options', { delegation: 1 }, /"delegation"/, ['updateStaker']],
        ['a wish that is neither yes nor no', 'invalid-options', { reactivateAllStake: 'yes' }, /"reactivateAllStake"/, ['updateStaker']],
        ['no message', 'invalid-options', { message: undefined }, /"message"/, ['withMessage']],
        ['bytes for a message', 'invalid-options', { message: new Uint8Array(3) }, /"message"/, ['withMessage']],
        ['half a character', 'invalid-options', { message: '\udc00' }, /Unicode/, ['withMessage']],
        ['65 letters', 'invalid-transaction', { message: 'a'.repeat(65) }, /65 bytes/, ['withMessage']],
        ['64 letters of two bytes', 'invalid-transaction', { message: 'ä'.repeat(64) }, /128 bytes/, ['withMessage']],
    ]) {
        test(`is not made with ${what}`, () => {
            for (const kind of only) {
                const options = { ...good(), ...(typeof change === 'function' ? change() : change) };
                refused(code, () => builder(kind)(options), message);
            }
        });
    }

    test('is not made of anything but options', () => {
        for (const kind of kinds) for (const options of [undefined, null, 1, 'text']) refused('invalid-options', () => builder(kind)(options), /"options"/);
    });
});

test('generated nonsense is refused, and the wallet goes on', () => {
    const generator = new Generator();
    console.log(`WALLET_TEST_SEED=${generator.seed}`);
    const things = [undefined, null, true, 0, -1, 1.5, NaN, Infinity, 2n ** 70n, -1n, 0n, 5n, '', 'NQ', '\ud800', 'é', Symbol('s'), () => 1, [], {}, new Uint8Array(3), new Uint8Array(32), new Date(0), keyPair, recipient, VALID];
    const anything = () => generator.pick(things);
    const names = ['keyPair', 'recipient', 'delegation', 'message', 'value', 'activeStake', 'fee', 'validityStartHeight', 'network', 'reactivateAllStake'];
    const calls = [
        () => wallet.Mnemonic.parse(anything()),
        () => wallet.Mnemonic.generate().toSeed(anything()),
        () => wallet.KeyPair.fromPrivateKey(anything()),
        () => wallet.KeyPair.fromMnemonic(anything(), anything(), anything()),
        () => wallet.KeyPair.verify(anything(), anything(), anything()),
        () => keyPair.sign(anything()),
        () => wallet.isValidAddress(anything()),
        () => {
            const options = { keyPair, recipient, delegation: recipient, message: 'm', value: 10_000_000n, activeStake: 1n, validityStartHeight: 1, network: 'dev-albatross' };
            for (let i = 0; i < 2; i += 1) options[generator.pick(names)] = anything();
            return generator.pick(Object.getOwnPropertyNames(wallet.TransactionBuilder).filter((name) => typeof wallet.TransactionBuilder[name] === 'function').map((name) => wallet.TransactionBuilder[name]))(options);
        },
    ];
    let accepted = 0;
    for (let round = 0; round < 3000; round += 1) {
        try {
            generator.pick(calls)();
            accepted += 1;
        } catch (error) {
            assert.ok(error instanceof wallet.PicoSyncError, `${error?.stack}`);
            assert.ok(['invalid-options', 'invalid-address', 'invalid-transaction'].includes(error.code), `${error.code}: ${error.message}`);
        }
    }
    assert.ok(accepted > 100, `${accepted} were accepted`);
    assert.equal(wallet.KeyPair.verify(keyPair.publicKey, new Uint8Array(3), keyPair.sign(new Uint8Array(3))), true);
});
