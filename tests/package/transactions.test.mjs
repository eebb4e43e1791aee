// Transactions as an async iterator: one at a time, as they are asked for, until the end or until nobody wants more.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { wrapperModule } from './support.mjs';

let TransactionIterator;
before(async () => ({ TransactionIterator } = await wrapperModule('transactions.ts')));

const over = { done: true, value: undefined };
const transaction = (n) => ({ hash: `${n}` });

/** A source that answers when it is told to, and keeps count. */
function source() {
    const waiting = [];
    return {
        asked: 0,
        freed: 0,
        next() {
            this.asked += 1;
            return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
        },
        free() {
            this.freed += 1;
        },
        answer: (value) => waiting.shift().resolve(value),
        fail: (error) => waiting.shift().reject(error),
    };
}

/** Lets everything happen that needs no event. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('transactions', () => {
    test('are asked for when they are wanted, one after the other', async () => {
        const from = source();
        const iterator = new TransactionIterator(from);
        await settled();
        assert.equal(from.asked, 0);
        const wanted = [iterator.next(), iterator.next(), iterator.next()];
        for (const n of [1, 2, 3]) {
            await settled();
            assert.equal(from.asked, n);
            from.answer(transaction(n));
        }
        assert.deepEqual((await Promise.all(wanted)).map(({ done, value }) => [done, value.hash]), [[false, '1'], [false, '2'], [false, '3']]);
        await settled();
        assert.equal(from.asked, 3);
    });

    test('end with the last', async () => {
        const from = source();
        const iterator = new TransactionIterator(from);
        const wanted = [iterator.next(), iterator.next()];
        await settled();
        from.answer(undefined);
        assert.deepEqual(await Promise.all(wanted), [over, over]);
        assert.deepEqual(await iterator.next(), over);
        assert.deepEqual([from.asked, from.freed], [1, 1]);
        assert.deepEqual(await iterator.return(), over);
        assert.equal(from.freed, 1);
    });

    test('end with an error, which the one that asked gets', async () => {
        const from = source();
        const iterator = new TransactionIterator(from);
        const wanted = [iterator.next(), iterator.next()];
        await settled();
        from.fail(new Error('no more'));
        await assert.rejects(wanted[0], /no more/);
        assert.deepEqual(await wanted[1], over);
        assert.deepEqual(await iterator.next(), over);
        assert.deepEqual([from.asked, from.freed], [1, 1]);
    });

    test('can be left while one is waited for', async () => {
        const from = source();
        const iterator = new TransactionIterator(from);
        const wanted = [iterator.next(), iterator.next()];
        await settled();
        assert.deepEqual(await iterator.return(), over);
        assert.deepEqual(await Promise.all(wanted), [over, over]);
        assert.deepEqual([from.asked, from.freed], [1, 1]);
        // What comes too late is nobody's business, be it an error.
        from.fail(new Error('freed'));
        await settled();
        assert.deepEqual(await iterator.next(), over);
    });

    test('can be left before anything was asked for', async () => {
        const from = source();
        const iterator = new TransactionIterator(from);
        await iterator.return();
        assert.deepEqual(await iterator.next(), over);
        assert.deepEqual([from.asked, from.freed], [0, 1]);
    });

    test('are let go of by break, and by what is thrown', async () => {
        const from = source();
        const iterator = new TransactionIterator(from);
        const reading = (async () => {
            for await (const { hash } of iterator) if (hash === '2') break;
        })();
        for (const n of [1, 2]) {
            await settled();
            from.answer(transaction(n));
        }
        await reading;
        assert.deepEqual([from.asked, from.freed], [2, 1]);

        const other = source();
        await assert.rejects(new TransactionIterator(other).throw(new Error('mine')), /mine/);
        assert.equal(other.freed, 1);
    });
});
