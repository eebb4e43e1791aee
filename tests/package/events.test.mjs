// Readers of events: order, bounds, ends.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { wrapperModule } from './support.mjs';

let EventHub, READER_CAPACITY;
before(async () => ({ EventHub, READER_CAPACITY } = await wrapperModule('events.ts')));

const event = (n) => ({ type: 'consensus', state: 'syncing', at: n });

describe('a reader', () => {
    test('gets what comes after it subscribed, in order, whether it waits or not', async () => {
        const hub = new EventHub();
        hub.emit(event(0));
        const reader = hub.subscribe();
        const waiting = [reader.next(), reader.next()];
        for (const n of [1, 2, 3, 4]) hub.emit(event(n));
        const results = await Promise.all([...waiting, reader.next(), reader.next()]);
        assert.deepEqual(results.map((result) => result.value.at), [1, 2, 3, 4]);
    });

    test('is independent of others', async () => {
        const hub = new EventHub();
        const [first, second] = [hub.subscribe(), hub.subscribe()];
        await first.return();
        hub.emit(event(1));
        assert.deepEqual(await first.next(), { done: true, value: undefined });
        assert.equal((await second.next()).value.at, 1);
    });

    test('that is too slow is told how many it missed, and goes on with the newest', async () => {
        const hub = new EventHub();
        const reader = hub.subscribe();
        for (let n = 0; n < READER_CAPACITY + 10; n += 1) hub.emit(event(n));
        const { value: lagged } = await reader.next();
        assert.equal(lagged.type, 'lagged');
        assert.equal(lagged.missed, 10);
        assert.ok(lagged.at > 0);
        for (let n = 10; n < READER_CAPACITY + 10; n += 1) assert.equal((await reader.next()).value.at, n);
    });

    test('counts what had been dropped before it', async () => {
        const hub = new EventHub();
        const reader = hub.subscribe();
        hub.emit({ type: 'lagged', missed: 5, at: 0 });
        for (let n = 0; n < READER_CAPACITY; n += 1) hub.emit(event(n));
        assert.equal((await reader.next()).value.missed, 5);
    });

    test('stops waiting when it returns', async () => {
        const hub = new EventHub();
        const reader = hub.subscribe();
        const waiting = reader.next();
        assert.deepEqual(await reader.return(), { done: true, value: undefined });
        assert.deepEqual(await waiting, { done: true, value: undefined });
    });

    test('ends after what it has not read yet', async () => {
        const hub = new EventHub();
        const reader = hub.subscribe();
        hub.emit(event(1));
        hub.end();
        hub.emit(event(2));
        const seen = [];
        for await (const { at } of reader) seen.push(at);
        assert.deepEqual(seen, [1]);
        assert.equal((await hub.subscribe().next()).done, true);
    });

    test('throws the error that ended the source, once, after what it has not read yet', async () => {
        const hub = new EventHub();
        const [reader, waiting] = [hub.subscribe(), hub.subscribe()];
        const pending = [waiting.next(), waiting.next()];
        const error = new Error('crashed');
        pending.forEach((promise) => promise.catch(() => {}));
        hub.emit(event(1));
        hub.end(error);
        assert.equal((await reader.next()).value.at, 1);
        await assert.rejects(reader.next(), error);
        assert.equal((await reader.next()).done, true);
        assert.equal((await pending[0]).value.at, 1);
        await assert.rejects(pending[1], error);
        await assert.rejects(hub.subscribe().next(), error);
    });

    test('unsubscribes when its loop is left', async () => {
        const hub = new EventHub();
        const reader = hub.subscribe();
        hub.emit(event(1));
        hub.emit(event(2));
        for await (const { at } of reader) {
            assert.equal(at, 1);
            break;
        }
        assert.equal((await reader.next()).done, true);
    });
});
