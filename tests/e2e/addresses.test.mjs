// A gateway that listens on IPv6 and knows its upstreams by name, and pages that know it by either.

import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { before, describe, test } from 'node:test';

import { browserAndServer, createClient, devnet, gatewayFor, is, liveHeads, openBlank, scope } from './harness.mjs';

const hasIpv6 = Object.values(networkInterfaces()).flat().some(({ address }) => address === '::1');

/** The same node, by name. */
const byName = (address) => address.replace('/ip4/127.0.0.1/', '/dns4/localhost/');

describe('a gateway is reached', () => {
    let shared;
    let net;
    const suite = scope();
    before(async () => {
        shared = await browserAndServer(suite);
        net = await devnet(suite, { epochs: 1, nodes: 2 });
    });

    async function reached(t, address, transport) {
        const page = await openBlank(t, shared);
        const client = await createClient(page, { network: net.network, peers: [address], minPeers: 1, desiredPeers: 1 });
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        await liveHeads(client, 2);
        const [peer] = await client.peers();
        assert.equal(peer.transport, transport);
        assert.deepEqual(page.faults, []);
    }

    test('by its name, as its upstreams are', async (t) => {
        const gateway = await gatewayFor(t, { ...net, nodes: net.nodes.map(byName) });
        await reached(t, byName(gateway.websocket), 'websocket');
    });

    test('over IPv6', { skip: !hasIpv6 && 'this machine has none' }, async (t) => {
        const gateway = await gatewayFor(t, net, { host: '/ip6/::1' });
        await reached(t, gateway.websocket, 'websocket');
        await reached(t, gateway.webrtc, 'webrtc');
    });
});
