// A page whose only way to the chain is a gateway, over WebRTC: all that it can do with nodes. And one that uses both
// transports.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { WAYS, assertSeamless, browserAndServer, createClient, devnet, gatewayFor, is, liveHeads, openBlank, scope } from './harness.mjs';
import { payments } from './payments.mjs';
import { questions } from './queries.mjs';
import { following } from './sync.mjs';

following(WAYS.webrtc);
questions(WAYS.webrtc);
payments(WAYS.webrtc);

describe('both transports', () => {
    let shared;
    let net;
    let gateway;
    const suite = scope();
    before(async () => {
        shared = await browserAndServer(suite);
        net = await devnet(suite, { epochs: 1 });
        gateway = await gatewayFor(suite, net);
    });

    test('nodes over WebSocket and a gateway over WebRTC, at once', async (t) => {
        const page = await openBlank(t, shared);
        const client = await createClient(page, { network: net.network, peers: [...net.addresses, gateway.webrtc], minPeers: 4, desiredPeers: 4 });
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        await liveHeads(client, 3);
        const transports = (await client.peers()).map(({ transport }) => transport);
        assert.deepEqual(transports.sort(), ['webrtc', 'websocket', 'websocket', 'websocket']);
        assertSeamless(client.events);
        assert.deepEqual(page.faults, []);
    });

    test('a gateway that can be had over both is one peer', async (t) => {
        // One of its own: it is a while until a gateway misses a page that is gone.
        const gateway = await gatewayFor(t, net);
        const page = await openBlank(t, shared);
        const client = await createClient(page, { network: net.network, peers: [gateway.webrtc, gateway.websocket], minPeers: 1, desiredPeers: 1 });
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        await liveHeads(client, 2);
        assert.deepEqual((await client.peers()).map(({ peerId }) => peerId), [gateway.peerId]);
        const { clients } = await gateway.health();
        assert.equal(clients.websocket + clients.webrtc, 1, JSON.stringify(clients));
        assert.deepEqual(page.faults, []);
    });

    test('the other one is used where UDP does not get through', async (t) => {
        const page = await openBlank(t, shared);
        // Nobody listens at the port before a real one.
        const nowhere = gateway.webrtc.replace(/\/udp\/\d+\//, '/udp/9/');
        const client = await createClient(page, { network: net.network, peers: [nowhere, gateway.websocket], minPeers: 1, desiredPeers: 1 });
        await client.until(is('peer-joined', { peerId: gateway.peerId, transport: 'websocket' }), 'the gateway over WebSocket');
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        assert.deepEqual(page.faults, []);
    });
});
