// A page whose only way to the chain is a gateway, over WebSocket: what becomes of it when upstreams or the gateway go away,
// or lie. What else a client does passes through a gateway in the tests of WebRTC.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as span } from 'node:timers/promises';

import { root } from '../../scripts/lib/env.mjs';
import { liars } from './adversary.mjs';
import { WAYS, assertSeamless, browserAndServer, createClient, devnet, gatewayFor, is, liveHeads, openBlank, scope } from './harness.mjs';
import { lineTo } from './proxy.mjs';
import { following } from './sync.mjs';

/** An account that has coins in the genesis of the devnet's network. */
const FUNDED = 'NQ46 U66M JNLD 0DJ7 0E9P Q7XR V9KV H976 813A';
/** How long a client may take to be back at the head once it can be. */
const RECOVERY_MS = 20_000;

following(WAYS.websocket);

liars('a gateway whose only upstream lies', {
    gateway: 'websocket',
    lies: { believed: ['conflicting-election'], unhelpful: { 'no-services': 'incompatible' }, harmless: ['garbage', 'bad-header-gossip'] },
});

/** Options of a client that goes through this gateway only. */
const through = (gateway) => ({ peers: [gateway.websocket], minPeers: 1, desiredPeers: 1 });

describe('proofs through a gateway', { timeout: 300_000 }, () => {
    let shared;
    const suite = scope();
    before(async () => {
        shared = await browserAndServer(suite);
    });

    for (const [title, options, relayed] of [
        ['that upstreams have are relayed', {}, true],
        ['that the gateway has itself are served by it', { proofs: join(root, 'tests', 'fixtures', 'unit-albatross', 'proofs') }, false],
    ]) {
        test(title, async (t) => {
            const net = await devnet(t, { proofs: 'fixture', nodes: 1 });
            const gateway = await gatewayFor(t, net, options);
            // Its own proofs are of use once it knows the blocks that they are of. There is no event for that.
            while (options.proofs && (await gateway.health()).provenBlock === undefined) await span(100);
            const page = await openBlank(t, shared);
            const client = await createClient(page, { network: net.network, ...through(gateway), mode: 'light' });
            await client.until(is('zkp', { status: 'verified', peerId: gateway.peerId }), 'a proof that holds');
            await client.until(is('trust', { level: 'verified', via: 'zkp' }), 'trust by proof');
            await client.until(is('consensus', { state: 'established' }), 'consensus');
            const metrics = await gateway.metrics();
            assert.equal(metrics.value('requests_relayed_total', { type: 'zkp' }) > 0, relayed, metrics.text);
            assert.deepEqual(page.faults, []);
        });
    }
});

describe('a client through a gateway', () => {
    let shared;
    let net;
    const suite = scope();
    before(async () => {
        shared = await browserAndServer(suite);
        net = await devnet(suite, { epochs: 2 });
    });

    /** A client that follows the chain through that gateway. */
    async function client(t, gateway, options) {
        const page = await openBlank(t, shared);
        const client = await createClient(page, { network: net.network, ...through(gateway), ...options });
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        await liveHeads(client, 2);
        return { page, client };
    }

    /** It is established, its head is of now, and it gets answers. */
    async function isWell({ page, client }) {
        assert.equal((await client.call('ready', { timeoutMs: RECOVERY_MS })).error, undefined);
        await liveHeads(client, 3, RECOVERY_MS);
        const { consensus, head } = await client.state();
        assert.equal(consensus, 'established');
        assert.ok(Math.abs(Date.now() - head.timestamp) < 10_000, `the head is of ${new Date(head.timestamp)}`);
        assert.ok((await client.ask('getAccount', FUNDED)).balance > 0n);
        assertSeamless(client.events);
        assert.deepEqual(client.events.filter(is('fallback')), []);
        assert.deepEqual(page.faults.filter((fault) => !fault.includes('ERR_CONNECTION')), []);
    }

    test('does not notice that one upstream after the other dies', async (t) => {
        const lines = await Promise.all(net.nodes.map((node) => lineTo(t, node)));
        const gateway = await gatewayFor(t, { ...net, nodes: lines.map(({ address }) => address) });
        const met = await client(t, gateway);
        // Whichever it is that answers this client: it is among them.
        for (const line of lines) {
            await line.cut();
            await isWell(met);
            await line.mend();
        }
        assert.deepEqual(met.client.events.filter(is('peer-left')), [], 'it kept the gateway');
        assert.ok((await gateway.metrics()).value('upstream_failures_total') >= lines.length);
        await isWell(met);
    });

    test('does not notice for long that its upstream says nothing any more', async (t) => {
        const lines = await Promise.all(net.nodes.map((node) => lineTo(t, node)));
        const gateway = await gatewayFor(t, { ...net, nodes: lines.map(({ address }) => address) });
        const met = await client(t, gateway);
        for (const line of lines) {
            line.freeze();
            await isWell(met);
            line.thaw();
        }
    });

    test('recovers when all upstreams die and come back', async (t) => {
        const gateway = await gatewayFor(t, net);
        const met = await client(t, gateway);
        assert.equal((await gateway.health()).code, 200);
        const from = met.client.events.length;
        await net.stopNodes();
        await met.client.until(() => met.client.events.slice(from).some(is('stalled')), 'word of the stall');
        const { code, status } = await gateway.health();
        assert.deepEqual([code, status], [503, 'no upstream']);
        // What was on its way when they died is no sign of life.
        const back = met.client.events.length;
        await net.startNodes();
        const begun = Date.now();
        await met.client.until(() => met.client.events.slice(back).some(is('head')), 'a head', RECOVERY_MS);
        t.diagnostic(`back after ${Date.now() - begun} ms`);
        await isWell(met);
        assert.equal((await gateway.health()).code, 200);
    });

    test('recovers when the gateway is killed and started again', async (t) => {
        const gateway = await gatewayFor(t, net);
        const met = await client(t, gateway);
        const from = met.client.events.length;
        await gateway.kill();
        await met.client.until(() => met.client.events.slice(from).some(is('peer-left', { peerId: gateway.peerId })), 'the gateway leaving');
        // It may be back with the client before this is told that it is there.
        const back = met.client.events.length;
        await gateway.restart();
        await met.client.until(() => met.client.events.slice(back).some(is('peer-joined', { peerId: gateway.peerId })), 'the gateway again', RECOVERY_MS);
        await isWell(met);
    });

    test('is told goodbye by a gateway that is stopped', async (t) => {
        const gateway = await gatewayFor(t, net);
        const met = await client(t, gateway);
        const begun = Date.now();
        await gateway.stop();
        await met.client.until(is('peer-left', { peerId: gateway.peerId }), 'the gateway leaving', 5000);
        assert.ok(Date.now() - begun < 8000, 'and it ended in time');
    });

    test('goes to another gateway when one is full', async (t) => {
        const [full, other] = await Promise.all([gatewayFor(t, net, { maxClients: 1 }), gatewayFor(t, net)]);
        await client(t, full);
        const met = await client(t, full, { peers: [full.websocket, other.websocket] });
        assert.deepEqual((await met.client.peers()).map(({ peerId }) => peerId), [other.peerId]);
    });
});
