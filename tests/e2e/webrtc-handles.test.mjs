// What WebRTC takes hold of, and lets go of again: streams that are opened at once, connections, closures, memory.
//
// The gateway has no upstream here: a connection is all that is wanted of it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startGateway } from '../../scripts/lib/gateway.mjs';
import { browserAndServer, openBlank, scope } from './harness.mjs';

/** Nobody listens there. */
const NOWHERE = '/ip4/127.0.0.1/tcp/9/ws';
const CONNECTIONS = 1000;
/** That make them side by side. */
const PAGES = 5;
const ROUNDS = 100;
/** Before anything is counted: what is made once, is made by then. */
const WARM_UP = 10;
/** JavaScript's heap is never quite the same, but a round that leaves 10 kB behind shows. */
const HEAP_SLACK = 1_000_000;
/** How long the browser may take to let go of what nobody holds any more: it does some of that when it has nothing else to do. */
const LET_GO_MS = 10_000;
/**
 * The wasm's memory never shrinks, and grows by a page when more is in use at once than ever before, as it may be when things
 * come together by chance. That happens once; what each round leaves behind makes it grow with each lot of rounds.
 */
const GROWTHS = 3;

describe('WebRTC', { concurrency: false }, async () => {
    const t = scope();
    const shared = await browserAndServer(t);
    const gateway = await startGateway({ upstreams: [NOWHERE], untilReady: false });
    t.after(() => gateway.stop());
    const options = { network: 'unit-albatross', storage: 'memory', peers: [], transports: ['webrtc'], logLevel: 'error' };

    test(`${CONNECTIONS} connections: no stream that the server opens at once is lost`, { timeout: 600_000 }, async (t) => {
        // Several pages: a process of Chromium has 500 at most before it looks for garbage.
        const pages = await Promise.all(Array.from({ length: PAGES }, () => openBlank(t, shared)));
        const from = performance.now();
        // To connect is to have shaken hands, over a stream that the server opens before this side is ready.
        const times = (await Promise.all(pages.map((page) => connections(page, CONNECTIONS / PAGES)))).flat();
        assert.equal(times.length, CONNECTIONS);
        times.sort((a, b) => a - b);
        const [median, slowest] = [times[CONNECTIONS / 2], times.at(-1)].map(Math.round);
        t.diagnostic(`${Math.round((performance.now() - from) / 1000)} s; one takes ${median} ms, the slowest ${slowest} ms`);
        for (const page of pages) assert.deepEqual(page.faults, []);
    });

    test(`${ROUNDS} connections of one client leave nothing behind`, { timeout: 300_000 }, async (t) => {
        const page = await openBlank(t, shared);
        const inside = await insights(page);
        await page.evaluate(async (options) => (window.client = await window.pico.PicoSyncClient.create(options)), options);
        const rounds = (count) => connections(page, count, 'window.client');
        await rounds(WARM_UP);
        let before = await inside();
        let grown;
        for (let times = 0; times < GROWTHS && grown !== 0; times++) {
            await rounds(ROUNDS);
            const after = await inside(noMoreThan(before));
            compare(t, before, after);
            grown = after.memoryBytes - before.memoryBytes;
            before = after;
        }
        assert.equal(grown, 0, 'bytes of wasm memory that each lot of rounds takes');
        await page.evaluate(() => window.client.close());
        const closed = await inside(({ connections, channels }) => connections + channels === 0);
        assert.deepEqual([closed.connections, closed.channels], [0, 0]);
        assert.deepEqual(page.faults, []);
    });

    test(`${ROUNDS} clients, one after the other, leave nothing behind`, { timeout: 300_000 }, async (t) => {
        const page = await openBlank(t, shared);
        const inside = await insights(page);
        const rounds = async (count) => {
            for (let i = 0; i < count; i++) {
                await page.evaluate(async ([options, address]) => {
                    const client = await window.pico.PicoSyncClient.create(options);
                    await client.connect(address);
                    await client.close();
                }, [options, gateway.webrtc]);
            }
        };
        await rounds(WARM_UP);
        const before = await inside();
        await rounds(ROUNDS);
        const nothing = ({ connections, channels, memories }) => connections + channels + memories === 0;
        const after = await inside((now) => nothing(now) && noMoreThan(before)(now));
        compare(t, before, after);
        assert.ok(nothing(after), JSON.stringify(after));
        assert.deepEqual(page.faults, []);
    });

    /** Connects and disconnects so often, by a client of its own or an `existing` one. The milliseconds that each took. */
    function connections(page, count, existing) {
        return page.evaluate(async ([options, address, peerId, count, existing]) => {
            const client = existing ? window.client : await window.pico.PicoSyncClient.create(options);
            const events = client.events();
            const times = [];
            for (let i = 0; i < count; i++) {
                const from = performance.now();
                await client.connect(address);
                times.push(performance.now() - from);
                await client.disconnect(peerId);
                for (let event; event?.type !== 'peer-left'; ) event = (await events.next()).value;
            }
            await events.return();
            if (!existing) await client.close();
            return times;
        }, [options, gateway.webrtc, gateway.peerId, count, Boolean(existing)]);
    }
});

/**
 * Counts what is alive in a page, after its garbage is collected: time and again until `test` holds for the counts, or
 * `LET_GO_MS` are over. The last counts are returned.
 */
async function insights(page) {
    const session = await page.context().newCDPSession(page);
    const evaluate = async (expression) => (await session.send('Runtime.evaluate', { expression })).result;
    const instances = async (name, measure) => {
        const { objectId } = await evaluate(`${name}.prototype`);
        const { objects } = await session.send('Runtime.queryObjects', { prototypeObjectId: objectId, objectGroup: 'insights' });
        const { result } = await session.send('Runtime.callFunctionOn', { objectId: objects.objectId, functionDeclaration: `function () { return ${measure}; }`, returnByValue: true });
        return result.value;
    };
    const count = async () => {
        // What a finaliser lets go of is garbage only the next time.
        for (let i = 0; i < 3; i++) {
            await session.send('HeapProfiler.collectGarbage');
            await page.evaluate(() => new Promise((done) => setTimeout(done, 50)));
        }
        const counts = {
            connections: await instances('RTCPeerConnection', 'this.length'),
            channels: await instances('RTCDataChannel', 'this.length'),
            memories: await instances('WebAssembly.Memory', 'this.length'),
            memoryBytes: await instances('WebAssembly.Memory', 'this.reduce((sum, memory) => sum + memory.buffer.byteLength, 0)'),
        };
        await session.send('Runtime.releaseObjectGroup', { objectGroup: 'insights' });
        await session.send('HeapProfiler.collectGarbage');
        return { ...counts, heap: (await session.send('Runtime.getHeapUsage')).usedSize };
    };
    return async (test = () => true) => {
        const deadline = Date.now() + LET_GO_MS;
        for (;;) {
            const counts = await count();
            if (test(counts) || Date.now() > deadline) return counts;
        }
    };
}

const COUNTED = ['connections', 'channels', 'memories'];

/** Whether there is no more of anything than there was before. */
const noMoreThan = (before) => (after) => COUNTED.every((what) => after[what] <= before[what]) && after.heap < before.heap + HEAP_SLACK;

function compare(t, before, after) {
    t.diagnostic(`before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`);
    for (const what of COUNTED) {
        assert.ok(after[what] <= before[what], `${what}: ${before[what]}, and then ${after[what]}`);
    }
    assert.ok(after.heap < before.heap + HEAP_SLACK, `heap: ${before.heap} bytes, and then ${after.heap}`);
}
