// What people type and read: amounts, addresses, messages.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { root } from '../../scripts/lib/env.mjs';
import { Generator, SUPPLY, loadWallet } from '../wallet/support.mjs';
import { loadModule } from './support.mjs';

const generator = new Generator();
console.log(`WALLET_TEST_SEED=${generator.seed}`);
const ROUNDS = 2000;

describe('amounts', () => {
    let amount;
    let format;
    before(async () => {
        amount = await loadModule({ after }, 'lib/amount.ts');
        format = await loadModule({ after }, 'lib/format.ts');
    });
    const luna = (typed) => amount.parseAmount(typed).luna;

    test('what is shown can be typed, and is the same to the last Luna', () => {
        for (let round = 0; round < ROUNDS; round += 1) {
            const value = generator.luna(0n, SUPPLY);
            assert.equal(luna(amount.typedAmount(value)), value);
            assert.equal(luna(format.nim(value)), value);
            assert.equal(luna(amount.withUnit(value)), value);
            assert.equal(luna(format.nim(value, { fixed: true })), value);
        }
    });

    test('are read as they are written', () => {
        for (const [typed, value] of [
            ['1', 100_000n],
            ['0', 0n],
            ['.5', 50_000n],
            ['5.', 500_000n],
            ['0.00001', 1n],
            ['007', 700_000n],
            ['  12.5 NIM ', 1_250_000n],
            ['1,234,567.89', 123_456_789_000n],
            ['1 234', 123_400_000n],
            ['1’234.5', 123_450_000n],
            ['21000000000', SUPPLY],
        ]) {
            assert.equal(luna(typed), value, typed);
        }
    });

    test('are never guessed at', () => {
        for (const typed of ['', ' ', '.', ',', '-1', '1,5', '1,23', '12,34,567', '1.2.3', '1e5', '0x10', 'NaN', '∞', '١', '1.000001', '0.0000001', '21000000000.00001', '9'.repeat(100_000), '1 2', '+1', 'one', '1,234,56']) {
            const { problem, luna: read } = amount.parseAmount(typed);
            assert.equal(read, undefined, typed.slice(0, 50));
            assert.match(problem, /\.$/, typed.slice(0, 50));
        }
        assert.match(amount.parseAmount('1,5').problem, /point/);
    });
});

describe('addresses', () => {
    let address;
    let wallet;
    before(async () => {
        address = await loadModule({ after }, 'lib/address.ts');
        ({ wallet } = await loadWallet());
    });

    test('are taken in each way that people write them, and grouped', () => {
        for (let round = 0; round < 100; round += 1) {
            const right = wallet.KeyPair.generate().address;
            const typed = generator.pick([right, right.replaceAll(' ', ''), right.toLowerCase(), ` ${right.replaceAll(' ', '  ')}\n`]);
            assert.equal(address.addressProblem(typed, wallet, true), undefined, typed);
            assert.equal(address.isAddress(typed, wallet), true);
            assert.equal(address.tidyAddress(typed), right);
        }
    });

    test('are right only with each letter in its place', () => {
        for (let round = 0; round < 300; round += 1) {
            const right = wallet.KeyPair.generate().address.replaceAll(' ', '');
            const at = 4 + generator.below(32);
            // A letter for a letter, a digit for a digit: of others, one in 97 has the same check digits.
            const alike = /\d/.test(right[at]) ? '0123456789' : 'ABCDEFGHJKLMNPQRSTUVXY';
            const other = generator.pick([...alike].filter((letter) => letter !== right[at]));
            const wrong = right.slice(0, at) + other + right.slice(at + 1);
            assert.match(address.addressProblem(wrong, wallet, false), /check digits/, wrong);
            assert.equal(address.isAddress(wrong, wallet), false);
        }
    });

    test('are not complained about while they are typed', () => {
        const right = wallet.KeyPair.generate().address;
        for (let length = 0; length <= right.length; length += 1) {
            assert.equal(address.addressProblem(right.slice(0, length), wallet, false), undefined, right.slice(0, length));
        }
        assert.match(address.addressProblem('', wallet, true), /Enter/);
        assert.match(address.addressProblem('NQ07', wallet, true), /too short/);
        assert.match(address.addressProblem(`${right}0`, wallet, false), /too long/);
        assert.match(address.addressProblem('0x1234', wallet, false), /begins with NQ/);
        assert.match(address.addressProblem('NQ07 O', wallet, false), /“O”/);
        // What the package would read, and no person means.
        assert.match(address.addressProblem('00'.repeat(20), wallet, true), /begins with NQ/);
        // Without the package nothing is right, and only what can be seen is wrong.
        assert.equal(address.isAddress(right, undefined), false);
        assert.equal(address.addressProblem(right, undefined, true), undefined);
    });
});

describe('messages', () => {
    let message;
    before(async () => (message = await loadModule({ after }, 'lib/message.ts')));

    test('are counted in bytes', () => {
        assert.equal(message.messageProblem('x'.repeat(64)), undefined);
        assert.match(message.messageProblem('x'.repeat(65)), /1 byte too long/);
        assert.equal(message.messageProblem('👋'.repeat(16)), undefined);
        assert.match(message.messageProblem('👋'.repeat(17)), /4 bytes too long/);
        assert.match(message.messageProblem('a\ud800'), /incomplete/);
    });

    test('come back as they were written, and nothing else does', () => {
        for (let round = 0; round < ROUNDS; round += 1) {
            const text = generator.text(64);
            const shown = message.messageOf(Buffer.from(text).toString('hex'));
            if (text === '') assert.equal(shown, undefined);
            else if (shown !== undefined) assert.equal(shown, text);
        }
        assert.equal(message.messageOf(Buffer.from('<img src=x onerror=alert(1)>').toString('hex')), '<img src=x onerror=alert(1)>');
        assert.equal(message.messageOf(''), undefined);
        assert.equal(message.messageOf('ff00'), undefined);
        assert.equal(message.messageOf(Buffer.from('a\u0000b').toString('hex')), undefined);
        // It would turn around what stands next to it.
        assert.equal(message.messageOf(Buffer.from('a\u202eb').toString('hex')), undefined);
    });
});

describe('errors', () => {
    let errors;
    before(async () => (errors = await loadModule({ after }, 'lib/errors.ts')));
    /** As the package throws them. */
    const thrown = (code, message) => Object.assign(new Error(message), { name: 'PicoSyncError', code });

    test('each code of the package is said in a sentence', () => {
        const typings = readFileSync(join(root, 'tests', 'types', 'contract.d.ts'), 'utf8');
        const codes = [...typings.match(/type ErrorCode =([^;]+);/)[1].matchAll(/'([a-z-]+)'/g)].map(([, code]) => code);
        assert.ok(codes.length >= 13, `${codes}`);
        const said = codes.map((code) => errors.inWords(thrown(code, '')));
        for (const [i, words] of said.entries()) {
            assert.match(words, /^[A-Z].{10,}\.$/, codes[i]);
            assert.ok(!words.includes('undefined'), codes[i]);
        }
        assert.equal(new Set(said).size, codes.length);
    });

    test('a client that was never made has not asked the network', () => {
        assert.match(errors.whyNoClient(thrown('not-found', 'core_bg.wasm answered a page')), /could not be loaded/);
        assert.equal(errors.whyNoClient(thrown('no-peers', '')), errors.inWords(thrown('no-peers', '')));
    });

    test('where the package says more, that is said', () => {
        assert.equal(errors.inWords(thrown('invalid-options', 'Word 2 of the mnemonic is unknown.')), 'Word 2 of the mnemonic is unknown.');
        assert.match(errors.inWords(thrown('no-peers', 'swarm: dial error')), /No peer/);
        // A code of a later version.
        assert.equal(errors.inWords(thrown('brand-new', 'Something new.')), 'Something new.');
        assert.match(errors.inWords(new Error('odd')), /unexpected.*odd/);
        assert.match(errors.inWords('odd'), /unexpected.*odd/);
    });
});
