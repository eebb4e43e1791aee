// One liar among three honest nodes, each lie in its own devnet.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { ADVERSARIES_WITH_FALLBACK, peerIdOf } from '../../scripts/lib/devnet.mjs';
import { assertSeamless, browserAndServer, createClient, devnet, is, liveHeads, openBlank, scope } from './harness.mjs';

describe('a liar among honest nodes', () => {
    let shared;
    const suite = scope();
    before(async () => {
        shared = await browserAndServer(suite);
    });

    /** A client of a devnet with that liar, which it dials first. */
    async function meet(t, adversary) {
        const net = await devnet(t, { epochs: 2, adversary });
        const page = await openBlank(t, shared);
        const client = await createClient(page, { network: net.network, peers: [...net.liars, ...net.nodes] });
        return { net, page, client, liar: peerIdOf(net.liars[0]) };
    }

    for (const adversary of ADVERSARIES_WITH_FALLBACK) {
        test(`${adversary}: found out, fallback, the honest head`, async (t) => {
            const { net, page, client, liar } = await meet(t, adversary);
            const fallback = await client.until(is('fallback'), 'fallback');
            assert.equal(fallback.from, 'pico');
            assert.equal(fallback.to, 'light');
            assert.ok(fallback.reason.length > 0);
            await client.until(is('macro-sync', { outcome: 'conflicting', peerId: liar }), 'the liar being found out');
            await client.until(is('peer-left', { peerId: liar }), 'the liar being dropped');
            const after = (test) => client.events.slice(client.events.indexOf(fallback)).find(test);
            await client.until(() => after(is('consensus', { state: 'established' })), 'consensus after the fallback');
            const [head] = await liveHeads(client, 3);
            assert.ok(head.blockNumber > net.head);

            const state = await client.state();
            assert.equal(state.syncer, 'light');
            assert.equal(state.trust, 'verified');
            assert.equal(state.goodPeers, 3);
            assert.ok(!(await client.peers()).some(({ peerId }) => peerId === liar));
            assert.equal(client.events.filter(is('fallback')).length, 1);
            assertSeamless(client.events);

            // What the light syncer holds is what an honest node says.
            const other = await createClient(page, { network: net.network, peers: net.nodes.slice(0, 1), minPeers: 1, mode: 'light' });
const both = (event) => event.type === 'head' && client.events.some(is('head', { hash: event.hash }));
            await other.until(() => other.events.some(both), 'the same head by an honest node alone');
            assert.deepEqual(page.faults, []);
        });
    }

    test('no-services: incompatible, and no harm done', async (t) => {
        const { client, liar } = await meet(t, 'no-services');
        await client.until(is('macro-sync', { outcome: 'incompatible', peerId: liar }), 'the verdict');
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        await liveHeads(client, 2);
        assert.deepEqual(client.events.filter(is('fallback')), []);
    });

    test('stale-head: outdated, and no harm done', async (t) => {
        const { client, liar } = await meet(t, 'stale-head');
        await client.until(is('macro-sync', { outcome: 'outdated', peerId: liar }), 'the verdict');
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        await liveHeads(client, 2);
        assert.deepEqual(client.events.filter(is('fallback')), []);
    });

    for (const adversary of ['no-answer', 'closes', 'garbage', 'oversized', 'wrong-genesis', 'bad-header-gossip']) {
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
