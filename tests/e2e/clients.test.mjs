// The life of clients: several in a page, closing, starting again, readers that are slow or leave.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { PATIENCE_MS, assertSeamless, createClient, is, liveHeads, openBlank, stage } from './harness.mjs';

describe('clients in one page', () => {
    const shared = stage({ epochs: 1 });
    const options = () => ({ network: shared.net.network, peers: shared.net.addresses });

    test('two of them follow the chain independently', async (t) => {
        const page = await openBlank(t, shared);
        const [one, two] = await Promise.all([createClient(page, options()), createClient(page, options())]);
        for (const client of [one, two]) await client.until(is('consensus', { state: 'established' }), 'consensus');
        await one.call('close');
        await one.ended;
        await liveHeads(two, 3);
        assert.equal((await one.state()).consensus, 'closed');
        assert.equal((await two.state()).consensus, 'established');
        assertSeamless(two.events);
        assert.deepEqual(page.faults, []);
    });

    test('closing ends everything, and another one can be made', async (t) => {
        const page = await openBlank(t, shared);
        const sockets = [];
        page.on('websocket', (socket) => sockets.push(socket));
        const first = await createClient(page, options());
        await first.until(is('consensus', { state: 'established' }), 'consensus');
        const waiting = first.call('ready', { trust: 'verified' });
        const closings = await Promise.all([first.call('close'), first.call('close')]);
        for (const closing of closings) assert.equal(closing.error, undefined);
        assert.equal(await first.ended, undefined, 'the iterator ends without an error');
        const left = await waiting;
        assert.ok(left.error?.code === 'closed' || left.value?.trust === 'verified', JSON.stringify(left));
        assert.equal((await first.call('ready')).error?.code, 'closed');
        assert.equal((await first.call('connect', shared.net.addresses[0])).error?.code, 'closed');
        assert.deepEqual(await first.peers(), []);
        // The browser tells of the end of a socket or a worker some time after it. All at once: while one is waited for, another
        // may end.
        const ends = [...sockets.filter((socket) => !socket.isClosed()), ...page.workers()];
        await Promise.all(ends.map((end) => end.waitForEvent('close', { timeout: PATIENCE_MS })));

        const second = await createClient(page, options());
        await second.until(is('consensus', { state: 'established' }), 'consensus');
        await liveHeads(second, 2);
        assert.deepEqual(page.faults, []);
    });

    test('an aborted signal closes a client', async (t) => {
        const page = await openBlank(t, shared);
        const result = await page.evaluate(async (options) => {
            const { PicoSyncClient, plain } = window.pico;
            const stop = new AbortController();
            const client = await PicoSyncClient.create({ ...options, signal: stop.signal });
            const pending = client.ready().then(() => 'ready', plain);
            const events = client.events();
            stop.abort();
            for await (const _ of events);
            return { pending: await pending, state: client.state.consensus, late: await PicoSyncClient.create({ signal: stop.signal }).catch(plain) };
        }, options());
        assert.equal(result.state, 'closed');
        assert.equal(result.pending.code, 'closed');
        assert.equal(result.late.code, 'aborted');
        assert.deepEqual(page.faults, []);
    });

    test('a reader may leave, and others go on', async (t) => {
        const page = await openBlank(t, shared);
        const seen = await page.evaluate(async (options) => {
            const client = await window.pico.PicoSyncClient.create(options);
            let first;
            for await (const event of client) {
                first = event.type;
                break;
            }
            const left = client.events();
            await left.return();
            const after = await left.next();
            const later = [];
            for await (const event of client) {
                later.push(event.type);
                if (event.type === 'head') break;
            }
            await client.close();
            return { first, after, later };
        }, options());
        assert.equal(typeof seen.first, 'string');
        assert.deepEqual(seen.after, { done: true, value: undefined });
        assert.equal(seen.later.at(-1), 'head');
        assert.deepEqual(page.faults, []);
    });

    test('log records go where they are asked to', async (t) => {
        const page = await openBlank(t, shared);
        const levels = await page.evaluate(async (options) => {
            const records = [];
            const client = await window.pico.PicoSyncClient.create({ ...options, logLevel: 'debug', logger: (record) => records.push(record) });
            await client.ready({ timeoutMs: 30_000 });
            const loud = records.length;
            client.setLogLevel('off');
            await client.close();
            return { loud, sample: records[0], typed: records.every((r) => r.level && r.target && typeof r.message === 'string') };
        }, options());
        assert.ok(levels.loud > 0, 'something was logged');
        assert.ok(levels.typed);
        assert.deepEqual(page.faults, []);
    });
});
