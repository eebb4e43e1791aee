// One liar among three honest nodes, each lie in its own devnet. It can be behind a gateway that has no other upstream:
// then the gateway is the liar, for all that a client can tell.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { ADVERSARIES_WITH_FALLBACK, peerIdOf } from '../../scripts/lib/devnet.mjs';
import { assertSeamless, browserAndServer, createClient, devnet, gatewayFor, is, liveHeads, openBlank, scope, stateOnce } from './harness.mjs';

/** Lies that are found out by looking at them, without anybody to contradict. An honest peer that delivers the same
 *  block with real signatures first leaves nothing to be found out. */
const REFUTES_ITSELF = ['bad-signature', 'too-few-signers'];

/** Good peers that a client needs here. A node that catches the liar itself bans its address, which is everyone's on
 *  this machine: one of the three may be out of reach. */
const MIN_PEERS = 2;

/** Every lie that clients are tested against, in the ways that they can meet it. */
const ALL = {
    believed: ADVERSARIES_WITH_FALLBACK,
    unhelpful: { 'no-services': 'incompatible', 'stale-head': 'outdated' },
    amongOthers: ['conflicting-election', 'other-epoch-macro'],
    harmless: ['no-answer', 'closes', 'garbage', 'oversized', 'wrong-genesis', 'bad-header-gossip'],
};

/** With `gateway`, a transport, the liar is behind a gateway that is reached over that. */
export const liars = (title, { gateway, lies: { believed = [], unhelpful = {}, amongOthers = [], harmless = [] } = ALL } = {}) => describe(title, () => {
    let shared;
    const suite = scope();
    before(async () => {
        shared = await browserAndServer(suite);
    });

    /** A client of a devnet with that liar, which it meets among the others or, with `first`, before them. */
    async function meet(t, adversary, { first = false, ...options } = {}) {
        const net = await devnet(t, { epochs: 2, adversary });
        const page = await openBlank(t, shared);
        const liar = gateway ? await behindGateway(t, net) : net.liars[0];
        const peers = first ? [liar] : [liar, ...net.nodes];
        // The liar tells of the others. Who wants one peer only doesn't go to them before it is told to.
        const wanted = first ? { minPeers: 1, desiredPeers: 1 } : { minPeers: MIN_PEERS };
        const client = await createClient(page, { network: net.network, peers, ...wanted, ...options });
        if (first) {
            await client.until(is('macro-block'), 'a chain by the liar’s word');
            if (REFUTES_ITSELF.includes(adversary)) await client.until(is('fallback'), 'fallback, with the liar alone');
            for (const node of net.nodes) await client.call('connect', node);
        }
        return { net, page, client, liar: peerIdOf(liar) };
    }

    async function behindGateway(t, net) {
        // Some lies are such that the gateway wants nothing of that upstream.
        const running = await gatewayFor(t, { ...net, nodes: net.liars }, { untilReady: false });
        return running[gateway];
    }

    /** What must come of a lie that casts doubt on the chain: out in the open, and to the honest head. */
    async function foundOut({ net, page, client, liar }) {
        const fallback = await client.until(is('fallback'), 'fallback');
        assert.equal(fallback.from, 'pico');
        assert.equal(fallback.to, 'light');
        assert.ok(fallback.reason.length > 0);
        await client.until(is('macro-sync', { outcome: 'conflicting', peerId: liar }), 'the liar being found out');
        await client.until(is('peer-left', { peerId: liar }), 'the liar being dropped');
        const after = (test) => client.events.slice(client.events.indexOf(fallback)).find(test);
        await client.until(() => after(is('consensus', { state: 'established' })), 'consensus after the fallback');
        await client.until(() => after(is('trust', { level: 'verified', via: 'signatures' })), 'proof after the fallback');
        const [head] = await liveHeads(client, 3);
        assert.ok(head.blockNumber > net.head);

        // One peer is enough for a client that was told so. The others are looked at meanwhile.
        const state = await stateOnce(client, ({ goodPeers }) => goodPeers >= MIN_PEERS, `${MIN_PEERS} good peers`);
        assert.equal(state.consensus, 'established');
        assert.equal(state.trust, 'verified');
        assert.ok(!(await client.peers()).some(({ peerId }) => peerId === liar));
        assert.equal(client.events.filter(is('fallback')).length, 1);
        assertSeamless(client.events);

        // What it holds now is what the honest nodes say.
        const other = await createClient(page, { network: net.network, peers: net.nodes, minPeers: 1, mode: 'light' });
        const both = (event) => event.type === 'head' && client.events.some(is('head', { hash: event.hash }));
        await other.until(() => other.events.some(both), 'the same head from honest nodes alone');
        assert.deepEqual(page.faults, []);
    }

    for (const adversary of believed) {
        test(`${adversary}, believed at first: found out, fallback, the honest head`, async (t) => {
            await foundOut(await meet(t, adversary, { first: true }));
        });
    }

    for (const adversary of amongOthers) {
        // Once the chain is proven, a claim against it is worth nothing. Here it is not.
        test(`${adversary}, among the others: found out, fallback, the honest head`, async (t) => {
            await foundOut(await meet(t, adversary, { verifyInBackground: false }));
        });

        test(`${adversary}, whatever comes first, proof or doubt: banned, the honest head`, async (t) => {
            const { page, client, liar } = await meet(t, adversary);
            await client.until(is('macro-sync', { outcome: 'conflicting', peerId: liar }), 'the liar being found out');
            await client.until(is('peer-left', { peerId: liar }), 'the liar being dropped');
            await client.until(is('trust', { level: 'verified' }), 'proof');
            // It follows one honest node while the other is still looked at.
            await client.ask('ready');
            await liveHeads(client, 3);
            assert.equal((await client.state()).consensus, 'established');
            assertSeamless(client.events);
            assert.deepEqual(page.faults, []);
        });
    }

    for (const [adversary, outcome] of Object.entries(unhelpful)) {
        test(`${adversary}: ${outcome}, and no harm done`, async (t) => {
            const { client, liar } = await meet(t, adversary);
            await client.until(is('macro-sync', { outcome, peerId: liar }), 'the verdict');
            await client.until(is('consensus', { state: 'established' }), 'consensus');
            await liveHeads(client, 2);
            assert.deepEqual(client.events.filter(is('fallback')), []);
        });
    }

    for (const adversary of harmless) {
        test(`${adversary}: the rest goes on`, async (t) => {
            const { page, client } = await meet(t, adversary);
            await client.until(is('consensus', { state: 'established' }), 'consensus');
            await liveHeads(client, 5);
            assert.deepEqual(client.events.filter(is('fallback')), []);
            assertSeamless(client.events);
            assert.deepEqual(page.faults, []);
        });
    }
});
