// What ends a client that follows the chain without anybody saying so: no network, a page that stops running, peers
// that die, a clock that jumps. Each time it must say that it noticed, and be back at the head of the chain soon after
// the cause ends. A suite for each way to the nodes.

import assert from 'node:assert/strict';
import { setTimeout as span } from 'node:timers/promises';
import { describe, test } from 'node:test';

import { WAYS, assertSeamless, createClient, is, liveHeads, openBlank, stage } from './harness.mjs';

/** How long after its cause has ended a client may be away from the head of the chain. It takes a second or two. */
const RECOVERY_MS = 10_000;
/**
 * The same where the peers were gone: nobody says when they are back. The next dial is up to 5 s away, and two rounds of them
 * may be needed, the first of which came a moment too early.
 */
const REDIAL_MS = 20_000;
/** How long a client may take to say that it hears nothing any more. It takes 3 to 4 s, and 8 s over WebRTC. */
const NOTICE_MS = 40_000;

/**
 * Waits until the client's head is a block that was made after `since` (Unix ms, by this machine's clock), which must
 * be before so many milliseconds have passed. Returns how long it took.
 */
async function backAtTheHead(client, since, within = RECOVERY_MS) {
    const deadline = since + within;
    for (;;) {
        const seen = client.events.length;
        const { head, consensus } = await client.state();
        if (head.timestamp > since && consensus === 'established') return Date.now() - since;
        const left = deadline - Date.now();
        assert.ok(left > 0, `not back within ${within} ms: ${consensus}, head ${head.blockNumber} of ${new Date(head.timestamp).toISOString()}\n${tail(client)}`);
        await client.until(() => client.events.length > seen, 'anything', left).catch(() => {});
    }
}

const tail = (client) => client.events.slice(-30).map((event) => JSON.stringify(event)).join('\n');

/** Events of a type that have come since there were `from`. */
const since = (client, from, type, fields) => client.events.slice(from).filter(is(type, fields));

export const staysAlive = (way) => describe(`a client that follows the chain, ${way.name}`, () => {
    const shared = stage({ epochs: 1 }, way);
    const options = () => ({ network: shared.net.network, ...shared.reached.options });

    async function following(t, prepare = async () => {}) {
        const page = await openBlank(t, shared, prepare);
        const client = await createClient(page, options());
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        await client.until(is('trust', { level: 'verified' }), 'proof by signatures');
        await liveHeads(client, 2);
        assert.deepEqual(client.events.filter(is('stalled')), [], 'nothing to tell so far');
        return { page, client };
    }

    test('survives that the browser goes offline', async (t) => {
        const { page, client } = await following(t);
        const from = client.events.length;
        await page.context().setOffline(true);
        await client.until(() => since(client, from, 'consensus', { state: 'offline' }).length, 'word of being offline');
        await client.until(() => since(client, from, 'peer-left').length >= shared.reached.peerIds.length, 'all peers gone');
        assert.equal((await client.state()).peers, 0);
        await span(8_000);
        assert.deepEqual(since(client, from, 'stalled'), [], 'offline is no stall');
        const ended = Date.now();
        await page.context().setOffline(false);
        t.diagnostic(`back after ${await backAtTheHead(client, ended)} ms`);
        const [stalled] = since(client, from, 'stalled');
        assert.ok(stalled?.forMs >= 7_000, `it says how long it was away: ${JSON.stringify(stalled)}`);
        assert.equal(stalled.action, 'redial');
        assertSeamless(client.events);
        assert.deepEqual(page.faults, []);
    });

    test('survives that its page is frozen', async (t) => {
        const page = await backgroundPage(t, shared);
        await page.evaluate(startInPage, options());
        await page.evaluate(() => window.client.ready({ trust: 'verified' }).then(() => true));
        const before = await page.evaluate(() => window.client.state.head.blockNumber);
        await page.setState('frozen');
        // Long enough for nodes to give up on it: they ping every 15 s and wait 20 s.
        await span(45_000);
        const frozen = await page.evaluate(() => ({ block: window.client.state.head.blockNumber, states: window.states }));
        assert.deepEqual(frozen.states.slice(-1), ['freeze'], 'the browser froze it');
        assert.ok(frozen.block < before + 10, 'and it did not run');
        const ended = Date.now();
        await page.setState('active');
        const back = await page.evaluate(untilHeadAfter, ended);
        t.diagnostic(`back after ${back - ended} ms`);
        assert.ok(back - ended <= RECOVERY_MS, `not back before ${back - ended} ms`);
        const events = await page.evaluate(() => window.seen);
        const stalled = events.filter(is('stalled'));
        assert.ok(stalled.some(({ forMs }) => forMs >= 40_000), `it says for how long: ${JSON.stringify(stalled)}`);
        assert.equal((await page.evaluate(() => window.client.state)).consensus, 'established');
        assertSeamless(events);
    });

    test('survives that all peers die and come back', async (t) => {
        const { page, client } = await following(t);
        const from = client.events.length;
        const died = Date.now();
        await shared.reached.vanish();
        const stalled = await client.until(() => since(client, from, 'stalled').length, 'word of the stall', NOTICE_MS).then(() => since(client, from, 'stalled')[0]);
        t.diagnostic(`noticed ${stalled.at - died} ms after the order to stop`);
        // A socket is closed by the system of whoever had it. Over WebRTC nobody says that a peer is gone: it is asked first.
        if (shared.reached.transport === 'websocket') assert.equal(stalled.action, 'redial');
        await client.until(() => since(client, from, 'stalled', { action: 'redial' }).length, 'word of dialling anew');
        await client.until(() => since(client, from, 'consensus', { state: 'connecting' }).length, 'consensus lost');
        await span(12_000);
        await shared.reached.comeBack();
        const ended = Date.now();
        t.diagnostic(`back after ${await backAtTheHead(client, ended, REDIAL_MS)} ms`);
        assertSeamless(client.events);
        assert.deepEqual(page.faults.filter((fault) => !fault.includes('ERR_CONNECTION')), []);
    });

    test('survives a clock that jumps, as after a sleep', async (t) => {
        // The clocks of the page, not of this machine: both, the one of the day only, and back. What is made of the latter
        // has nothing to do with the way.
        const jumps = [[600_000, 600_000], [600_000, 0], [-600_000, 0]];
        for (const [wall, steady] of way === WAYS.directly ? jumps : jumps.slice(0, 1)) {
            const { page, client } = await following(t, (page) => page.addInitScript(jumpingClocks));
            const from = client.events.length;
            const ended = Date.now();
            await page.evaluate(([wall, steady]) => window.jump(wall, steady), [wall, steady]);
            t.diagnostic(`back after ${await backAtTheHead(client, ended)} ms`);
            if (wall > 0) {
                await client.until(() => since(client, from, 'stalled').length, 'word of the lost time', RECOVERY_MS);
                assert.ok(since(client, from, 'stalled')[0].forMs >= 590_000);
            }
            await liveHeads(client, 5);
            assert.equal((await client.state()).consensus, 'established');
            assert.deepEqual(since(client, from, 'fallback'), []);
            assertSeamless(client.events);
            assert.deepEqual(page.faults, []);
            await client.call('close');
        }
    });
});

/**
 * Runs in the page, before anything else. With the clocks, what is done at intervals gets its turn, as it does in a page that
 * wakes up: a block that came before the client has looked at the clocks would end the silence that is to be told.
 */
function jumpingClocks() {
    const { now } = Date;
    const { performance, setInterval, clearInterval } = globalThis;
    const steadyNow = performance.now.bind(performance);
    const ahead = { wall: 0, steady: 0 };
    Date.now = () => now() + ahead.wall;
    performance.now = () => steadyNow() + ahead.steady;
    const intervals = new Map();
    globalThis.setInterval = (work, ms, ...args) => {
        const id = setInterval(work, ms, ...args);
        intervals.set(id, () => work(...args));
        return id;
    };
    globalThis.clearInterval = (id) => {
        intervals.delete(id);
        clearInterval(id);
    };
    globalThis.jump = (wall, steady) => {
        ahead.wall += wall;
        ahead.steady += steady;
        for (const work of [...intervals.values()]) work();
    };
}

/** Runs in the page: a client and all its events. */
async function startInPage(options) {
    window.states = [];
    for (const type of ['freeze', 'resume']) document.addEventListener(type, () => window.states.push(type));
    window.seen = [];
    const client = (window.client = await window.pico.PicoSyncClient.create(options));
    void (async () => {
        for await (const event of client) window.seen.push(event);
    })();
    return true;
}

/** Runs in the page: resolves with the time when the client is established at a block that was made after `since`. */
async function untilHeadAfter(since) {
    const { client } = window;
    const there = () => client.state.consensus === 'established' && client.state.head.timestamp > since;
    for await (const _ of client) if (there()) break;
    return Date.now();
}

/**
 * A page behind another one, so that the browser can freeze it. Playwright keeps the pages that it knows of in sight;
 * this one is in a context that it does not know of, and is spoken to through the browser.
 */
async function backgroundPage(t, { browser, server }) {
    const session = await browser.newBrowserCDPSession();
    const { browserContextId } = await session.send('Target.createBrowserContext');
    t.after(async () => {
        await session.send('Target.disposeBrowserContext', { browserContextId });
        await session.detach();
    });
    const open = async (url) => (await session.send('Target.createTarget', { url, browserContextId })).targetId;
    const targetId = await open('about:blank');
    const { sessionId } = await session.send('Target.attachToTarget', { targetId, flatten: false });
    const waiting = new Map();
    let loaded;
    const hasLoaded = new Promise((resolve) => (loaded = resolve));
    session.on('Target.receivedMessageFromTarget', ({ sessionId: from, message }) => {
        if (from !== sessionId) return;
        const { id, method, result, error } = JSON.parse(message);
        if (method === 'Page.loadEventFired') loaded();
        waiting.get(id)?.({ result, error });
        waiting.delete(id);
    });
    let last = 0;
    const send = async (method, params = {}) => {
        const id = ++last;
        const answered = new Promise((resolve) => waiting.set(id, resolve));
        await session.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method, params }) });
        const { result, error } = await answered;
        if (error) throw new Error(`${method}: ${error.message}`);
        return result;
    };
    const evaluate = async (work, argument) => {
        const expression = `(${work})(${JSON.stringify(argument ?? null)})`;
        const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
        if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
        return result.value;
    };
    await send('Page.enable');
    await send('Page.navigate', { url: server.url });
    await hasLoaded;
    // In front of it.
    await session.send('Target.activateTarget', { targetId: await open('about:blank') });
    await evaluate(() => new Promise((done) => {
        if (document.visibilityState === 'hidden') return done(true);
        document.addEventListener('visibilitychange', () => done(true), { once: true });
    }));
    return { evaluate, setState: (state) => send('Page.setWebLifecycleState', { state }) };
}
