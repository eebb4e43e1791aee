// The main story: a page syncs to real nodes and follows their chain. A suite for each way to them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { assertSeamless, browserAndServer, createClient, devnet, is, liveHeads, openBlank, stage } from './harness.mjs';

/** Blocks a batch and batches an epoch of the devnet's network; its genesis is block 200. */
const BATCH = 32;
const EPOCH = 4 * BATCH;
const GENESIS = 200;
/** Of nodes that are quick, and what an epoch of theirs takes. Milliseconds. */
const BLOCK_TIME = 500;
const EPOCH_MS = EPOCH * BLOCK_TIME;

export const following = (way) => describe(`a page and three honest nodes, ${way.name}`, () => {
    const shared = stage({ epochs: 3 }, way);
    const options = (more) => ({ network: shared.net.network, ...shared.reached.options, ...more });

    test('syncs, follows the chain, and proves it in the background', async (t) => {
        const page = await openBlank(t, shared);
        const client = await createClient(page, options());
        const ready = client.call('ready', { timeoutMs: 30_000 });
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        assert.equal((await ready).value?.consensus, 'established');

        const heads = await liveHeads(client, 5);
        const states = client.events.filter(is('consensus')).map(({ state }) => state);
        assert.deepEqual(states, ['syncing', 'established'].slice(-states.length), 'one way up, no way back');
        for (let i = 1; i < heads.length; i++) assert.ok(heads[i].blockNumber > heads[i - 1].blockNumber);
        assertSeamless(client.events);

        const verified = await client.until(is('trust', { level: 'verified' }), 'proof by signatures');
        assert.equal(verified.via, 'signatures');
        const proven = await client.call('ready', { trust: 'verified', timeoutMs: 1000 });
        assert.equal(proven.value?.trust, 'verified');

        const state = await client.state();
        assert.equal(state.consensus, 'established');
        assert.equal(state.syncer, 'pico');
        assert.equal(state.peers, shared.reached.peerIds.length);
        assert.equal(state.goodPeers, shared.reached.peerIds.length);
        assert.ok(state.head.blockNumber >= heads.at(-1).blockNumber);
        assert.ok(state.head.blockNumber > shared.net.head, 'the head is one that was made after the start');
        assert.ok(Math.abs(Date.now() - state.head.timestamp) < 30_000, 'the head is of now');
        assert.match(state.head.hash, /^[0-9a-f]{64}$/);
        assert.equal((state.macroHead.blockNumber - GENESIS) % BATCH, 0);
        assert.equal(state.electionHead.blockNumber, GENESIS + state.electionHead.epoch * EPOCH);
        assert.ok(state.electionHead.epoch >= 3);
        assert.ok(state.bytesReceived > 1000 && state.bytesSent > 500);

        const peers = await client.peers();
        assert.deepEqual(peers.map(({ peerId }) => peerId).sort(), shared.reached.peerIds.toSorted());
        for (const peer of peers) {
            assert.equal(peer.outcome, 'good');
            assert.equal(peer.transport, shared.reached.transport);
            assert.ok(peer.services.length > 0);
        }

        assert.deepEqual(client.events.filter(is('fallback')), []);
        assert.deepEqual(client.events.filter(is('stalled')), []);
        assert.deepEqual(client.events.filter(is('macro-sync')).filter(({ outcome }) => outcome !== 'good'), []);
        for (const event of client.events) assert.ok(Number.isInteger(event.at) && Math.abs(event.at - Date.now()) < 600_000);
        assert.deepEqual((await client.call('close')).error, undefined);
        assert.deepEqual(page.faults, []);
    });

    test('in light mode, verifies from the start', async (t) => {
        const page = await openBlank(t, shared);
        const client = await createClient(page, options({ mode: 'light' }));
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        const state = await client.state();
        assert.equal(state.syncer, 'light');
        assert.equal(state.trust, 'verified');
        await liveHeads(client, 2);
        assertSeamless(client.events);
        assert.deepEqual(client.events.filter(is('fallback')), []);
        assert.deepEqual(client.events.filter(is('trust', { level: 'optimistic' })), []);
        assert.deepEqual(page.faults, []);
    });

    test('needs fewer peers when told so, and dials no more than it was given', async (t) => {
        const page = await openBlank(t, shared);
        const client = await createClient(page, options({ peers: shared.reached.options.peers.slice(0, 1), minPeers: 1, desiredPeers: 1 }));
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        assert.equal((await client.state()).goodPeers, 1);
        assert.deepEqual(page.faults, []);
    });

    test('connects to a peer and disconnects from it when asked', async (t) => {
        const page = await openBlank(t, shared);
        const client = await createClient(page, options({ peers: [], minPeers: 1, transports: undefined }));
        const [address] = shared.reached.options.peers;
        const [peerId] = shared.reached.peerIds;
        assert.equal((await client.call('connect', address)).error, undefined);
        await client.until(is('peer-joined', { peerId }), 'the peer');
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        assert.equal((await client.call('disconnect', peerId)).error, undefined);
        await client.until(is('peer-left', { peerId }), 'the peer leaving');
        assert.equal((await client.call('connect', 'nonsense')).error?.code, 'invalid-options');
        const refused = await client.call('connect', '/ip4/127.0.0.1/tcp/1/ws');
        assert.equal(refused.error?.code, 'no-peers', refused.error?.message);
    });
});

export const crossing = (way) => describe(`a page and nodes that are quick, ${way.name}`, () => {
    test('crosses checkpoints and an election block live, without a fallback', async (t) => {
        const shared = await browserAndServer(t);
        const net = await devnet(t, { epochs: 3, blockTime: BLOCK_TIME });
        const page = await openBlank(t, shared);
        const { options } = await way.reach(t, net);
        const client = await createClient(page, { network: net.network, ...options });
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        const from = client.events.length;
        const crossed = (election) => client.events.slice(from).filter(is('macro-block', { election }));
        await client.until(() => crossed(true).length > 0 && crossed(false).length > 0, 'a checkpoint and an election block', 5 * EPOCH_MS);
        const [election] = crossed(true);
        assert.equal((election.blockNumber - GENESIS) % EPOCH, 0);
        await client.until((event) => event.type === 'head' && event.blockNumber >= election.blockNumber + 5, 'heads of the new epoch');
        const state = await client.state();
        assert.equal(state.consensus, 'established');
        assert.ok(state.electionHead.blockNumber >= election.blockNumber);
        assertSeamless(client.events);
        assert.deepEqual(client.events.filter(is('fallback')), []);
        assert.deepEqual(client.events.filter(is('macro-sync', { outcome: 'conflicting' })), []);
        assert.deepEqual(page.faults, []);
    });
});
