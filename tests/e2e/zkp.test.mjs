// Proofs of the election chain: from doubt to trust without walking, and what becomes of those who have none, or lie.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { peerIdOf } from '../../scripts/lib/devnet.mjs';
import { longestMainThreadTask } from '../../scripts/lib/measure.mjs';
import { assertSeamless, browserAndServer, createClient, devnet, is, liveHeads, openBlank, scope } from './harness.mjs';

/** Good peers that a client needs where a liar is: nodes that catch it ban its address, which is everyone's here. */
const MIN_PEERS = 2;
/** Main-thread tasks must be shorter. Processor time in ms, of which the longest takes 12 to 25 as a rule. */
const LONGEST_TASK = 100;

/** A key as the option takes it. */
const keyOf = (net) => net.verifyingKey && Uint8Array.from(Buffer.from(net.verifyingKey, 'hex'));
const zkp = (status, fields) => is('zkp', { status, ...fields });
const verified = (via) => is('trust', { level: 'verified', via });

/** Waits for each of `steps`, `[what, test]`, one after the other. */
async function story(client, ...steps) {
    let from = 0;
    for (const [what, test] of steps) {
        const next = () => client.events.findIndex((event, i) => i >= from && test(event));
        await client.until(() => next() >= 0, what);
        from = next() + 1;
    }
}

/** The story of one proof that holds. */
const PROOF = [
    ['a proof being asked for', zkp('requested')],
    ['a proof being checked', zkp('verifying')],
    ['a proof that holds', (event) => zkp('verified')(event) && event.ms > 0 && event.blockNumber > 328],
    ['trust by proof', verified('zkp')],
];

/**
 * Has workers die when they are given a proof, as often as `deaths` says. With a word, as a browser tells of a script that
 * went wrong, or `silently`. The proof isn't handed on: a worker that had it could be through with it before it dies.
 */
function killWorkers({ deaths, silently }) {
    const { Worker } = window;
    let left = deaths;
    window.Worker = class extends Worker {
        postMessage(message) {
            // The first byte of a job is its kind: 1 is a proof.
            if (message.type !== 'verify' || message.job[0] !== 1 || left === 0) return super.postMessage(message);
            left -= 1;
            this.terminate();
            // In a task of its own, as a browser does.
            if (!silently) setTimeout(() => this.dispatchEvent(new ErrorEvent('error', { message: 'killed', cancelable: true })));
        }
    };
}

describe('proofs of the election chain', () => {
    let shared;
    const suite = scope();
    before(async () => {
        shared = await browserAndServer(suite);
    });

    /** A client of honest nodes. */
    async function meet(t, net, { prepare, ...options } = {}) {
        const page = await openBlank(t, shared, prepare);
        const client = await createClient(page, { network: net.network, peers: net.nodes, verifyingKey: keyOf(net), ...options });
        return { page, client };
    }

    /** What must be true at the end of every story. */
    async function endsWell({ page, client }, { fallbacks = 0 } = {}) {
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        await liveHeads(client, 3);
        const state = await client.state();
        assert.equal(state.consensus, 'established');
        assert.equal(state.trust, 'verified');
        assert.equal(client.events.filter(is('fallback')).length, fallbacks);
        assertSeamless(client.events);
        assert.deepEqual(page.faults, []);
    }

    /** A client that is alone with the liar until it is told to go to the others. */
    const alone = (page, net) =>
        createClient(page, { network: net.network, peers: net.liars, verifyingKey: keyOf(net), minPeers: 1, desiredPeers: 1 });

    test('a liar that was believed: conflict, fallback, proof, verified, the honest head', async (t) => {
        // Proofs of the real prover, and the key that is shipped.
        const net = await devnet(t, { proofs: 'fixture', adversary: 'conflicting-election' });
        assert.equal(net.verifyingKey, undefined);
        const page = await openBlank(t, shared);
        await shared.browser.startTracing(page, { categories: ['toplevel', 'blink.user_timing', '__metadata'] });
        await page.evaluate(() => void performance.mark('benchmark'));
        const client = await alone(page, net);
        await client.until(is('macro-block'), 'a chain by the liar’s word');
        for (const node of net.nodes) await client.call('connect', node);
        await story(client, ['the fallback', is('fallback', { from: 'pico', to: 'light' })], ...PROOF, ['consensus', is('consensus', { state: 'established' })]);
        const trace = JSON.parse(await shared.browser.stopTracing());

        const peerId = peerIdOf(net.liars[0]);
        await client.until(is('macro-sync', { outcome: 'conflicting', peerId }), 'the liar being found out');
        await client.until(is('peer-left', { peerId }), 'the liar being dropped');
        assert.ok(!(await client.peers()).some((peer) => peer.peerId === peerId));
        assert.ok((await client.state()).goodPeers >= MIN_PEERS - 1);
        await endsWell({ page, client }, { fallbacks: 1 });
        const { longestTask } = longestMainThreadTask(trace);
        t.diagnostic(`longest main-thread task ${longestTask.toFixed(0)} ms`);
        assert.ok(longestTask < LONGEST_TASK, `the page was busy for ${longestTask} ms at once`);
    });

    describe('with honest nodes that have proofs', () => {
        let net;
        const nodes = scope();
        before(async () => {
            net = await devnet(nodes, { proofs: 'simulated', epochs: 4 });
        });

        test('what was adopted is proven in the background', async (t) => {
            const met = await meet(t, net);
            await story(met.client, ['optimistic trust', is('trust', { level: 'optimistic' })], ...PROOF);
            await endsWell(met);
        });

        test('light mode begins with the proof', async (t) => {
            const met = await meet(t, net, { mode: 'light' });
            await story(met.client, ...PROOF);
            assert.ok(!met.client.events.some(is('trust', { level: 'optimistic' })));
            await endsWell(met);
        });

        test('a worker that is killed at it is replaced, and the proof checked again', async (t) => {
            const met = await meet(t, net, { prepare: (page) => page.addInitScript(killWorkers, { deaths: 1 }) });
            await story(met.client, ['a proof being checked', zkp('verifying')], ['a new worker', is('worker', { status: 'restarted' })], PROOF[2], PROOF[3]);
            await endsWell(met);
        });

        test('a worker that dies at it without a word is missed, too', async (t) => {
            const met = await meet(t, net, { prepare: (page) => page.addInitScript(killWorkers, { deaths: 1, silently: true }) });
            await story(met.client, ['a proof being checked', zkp('verifying')], ['a new worker', is('worker', { status: 'restarted' })], PROOF[2], PROOF[3]);
            await endsWell(met);
        });

        test('where no worker survives it, there is another way, and nobody is blamed', async (t) => {
            const met = await meet(t, net, { prepare: (page) => page.addInitScript(killWorkers, { deaths: Infinity }) });
            await met.client.until((event) => event.type === 'trust' && event.level === 'verified', 'trust all the same');
            assert.ok(!met.client.events.some(zkp('rejected')));
            assert.ok(!met.client.events.some(is('peer-left')));
            await endsWell(met);
        });

        test('without a worker it is checked in place, and said so', async (t) => {
            const met = await meet(t, net, { prepare: (page) => page.route('**/worker.js', (route) => route.abort()) });
            await story(met.client, ['a proof being checked', zkp('verifying')], ['word of where', is('verified-in-place')], PROOF[2], PROOF[3]);
            met.page.faults = met.page.faults.filter((fault) => !fault.includes('ERR_FAILED'));
            await endsWell(met);
        });

        test('a key that does not load: said so, and by signatures then', async (t) => {
            // Whether the network has a built-in key or not: here it has none.
            const met = await meet(t, net, { verifyingKey: undefined, prepare: (page) => page.route('**/keys/**', (route) => route.abort()) });
            const { reason } = await met.client.until((event) => zkp('unavailable')(event) && !event.peerId, 'word of it');
            assert.match(reason, /verifying key/);
            await met.client.until(verified('signatures'), 'trust by signatures');
            assert.ok(!met.client.events.some(zkp('requested')));
            met.page.faults = met.page.faults.filter((fault) => !fault.includes('ERR_FAILED'));
            await endsWell(met);
        });

        test('a key that is none, or of another network, is refused', async (t) => {
            const page = await openBlank(t, shared);
            const good = keyOf(net);
            const other = good.slice();
            // The ninth byte says which kind, the tenth which network.
            other[9] += 1;
            for (const [what, verifyingKey] of [['nothing', good.slice(0, 0)], ['a part', good.slice(0, -1)], ['noise', good.map((byte) => byte ^ 0x5a)], ['another', other]]) {
                const options = { network: net.network, peers: net.nodes, verifyingKey };
                await assert.rejects(createClient(page, options), ({ code, message }) => {
                    assert.equal(code, 'invalid-options', what);
                    assert.match(message, /^verifyingKey: /);
                    return true;
                });
            }
            await assert.rejects(createClient(page, { network: net.network, verifyingKey: other }), /another network than unit-albatross/);
            assert.deepEqual(page.faults, []);
        });
    });

    // What there is beside: every kind of lie, and who wins against whom, is told by the tests of the engine.
    for (const [adversary, status] of [
        ['bad-proof', 'rejected'],
        ['broken-proof', 'rejected'],
        ['forged-proof-block', 'rejected'],
        ['conflicting-election+bad-proof', 'rejected'],
        // That is no answer at all.
        ['oversized-proof', 'unavailable'],
        ['garbage-proof', 'unavailable'],
    ]) {
        test(`${adversary}: ${status}, the liar dropped, the honest proof used`, async (t) => {
            const net = await devnet(t, { proofs: 'simulated', epochs: 2, adversary });
            const page = await openBlank(t, shared);
            const client = await alone(page, net);
            const peerId = peerIdOf(net.liars[0]);
            await story(client, ['its proof being asked for', zkp('requested', { peerId })], [`its being ${status}`, zkp(status, { peerId })]);
            await client.until(is('peer-left', { peerId }), 'the liar being dropped');
            for (const node of net.nodes) await client.call('connect', node);
            await story(client, ['the liar being dropped', is('peer-left', { peerId })], ...PROOF);
            assert.ok(!client.events.some(zkp('verified', { peerId })));
            await endsWell({ page, client }, { fallbacks: client.events.filter(is('fallback')).length });
        });
    }

    for (const adversary of ['outdated-proof', 'no-proof-answer']) {
        test(`${adversary}: no harm done`, async (t) => {
            const net = await devnet(t, { proofs: 'simulated', epochs: 2, adversary });
            const met = await meet(t, { ...net, nodes: net.addresses });
            await story(met.client, ...PROOF);
            assert.ok(!met.client.events.some(zkp('rejected')));
            await endsWell(met);
        });
    }

    test('nodes without proofs: unavailable, and by signatures then', async (t) => {
        const [net, { verifyingKey }] = [await devnet(t, { epochs: 3, version: 2 }), await devnet(t, { epochs: 1, proofs: 'simulated' })];
        const met = await meet(t, { ...net, verifyingKey });
        await story(met.client, ['a proof being asked for', zkp('requested')], ['word of it', zkp('unavailable')], ['trust by signatures', verified('signatures')]);
        await endsWell(met);
    });

    test('a chain that proofs know nothing of: unavailable, nobody asked', async (t) => {
        const [net, { verifyingKey }] = [await devnet(t, { epochs: 2 }), await devnet(t, { epochs: 1, proofs: 'simulated' })];
        const met = await meet(t, { ...net, verifyingKey });
        await story(met.client, ['word of it', zkp('unavailable')], ['trust by signatures', verified('signatures')]);
        assert.ok(!met.client.events.some(zkp('requested')));
        await endsWell(met);
    });
});
