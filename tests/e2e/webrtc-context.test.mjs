// Where WebRTC is not there, is there under other conditions, or leads to somebody else.
//
// The gateway has no upstream here: a connection is all that is wanted of it.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { launchBrowser } from '../../scripts/lib/browser.mjs';
import { startGateway } from '../../scripts/lib/gateway.mjs';
import { browserAndServer, createClient, is, openBlank, scope } from './harness.mjs';

/** Nobody listens there. */
const NOWHERE = '/ip4/127.0.0.1/tcp/9/ws';
const options = { network: 'unit-albatross', storage: 'memory', peers: [] };

describe('WebRTC', () => {
    const suite = scope();
    let shared;
    let gateway;
    before(async () => {
        shared = await browserAndServer(suite);
        gateway = await startGateway({ upstreams: [NOWHERE], untilReady: false });
        suite.after(() => gateway.stop());
    });
    const both = () => ({ ...options, peers: [gateway.webrtc, gateway.websocket], minPeers: 1, desiredPeers: 1 });

    test('with another certificate than the address names: said so, and at once', async (t) => {
        const page = await openBlank(t, shared);
        const client = await createClient(page, { ...options, transports: ['webrtc'] });
        // Another hash, in the same form.
        const wrong = gateway.webrtc.replace(/(?<=certhash\/uEi.{10}).{3}/, (part) => (part === 'AAA' ? 'BBB' : 'AAA'));
        const { error } = await client.call('connect', wrong);
        assert.equal(error.code, 'no-peers');
        assert.match(error.message, /the certificate there is not the one named by \/certhash \(the gateway may have a new one\)/);
        const failed = await client.until(is('dial-failed'), 'failed dial');
        assert.ok(error.message.includes(failed.reason));
        assert.equal((await client.call('connect', gateway.webrtc)).error, undefined);
        assert.deepEqual(page.faults, []);
    });

    test('taken away from a page: WebSocket, without a word', async (t) => {
        const page = await openBlank(t, shared, (page) => page.addInitScript(() => delete window.RTCPeerConnection));
        const said = [];
        page.on('console', (message) => said.push(message.text()));
        const client = await createClient(page, both());
        await client.until(is('peer-joined', { peerId: gateway.peerId, transport: 'websocket' }), 'the gateway over WebSocket');
        const { error } = await client.call('connect', gateway.webrtc.replace(/\/p2p\/.*/, ''));
        assert.equal(error.code, 'unsupported');
        assert.match(error.message, /WebRTC is not available here: there is no RTCPeerConnection/);
        assert.deepEqual([said, page.faults], [[], []]);
    });

    test('not there in a worker: WebSocket, without a word', async (t) => {
        const page = await openBlank(t, shared);
        const said = [];
        page.on('console', (message) => said.push(message.text()));
        const joined = await page.evaluate((options) => new Promise((done, fail) => {
            const worker = new Worker('/in-worker.js', { type: 'module' });
            worker.onmessage = ({ data }) => done(data);
            worker.onerror = ({ message }) => fail(new Error(message ?? 'it does not load'));
            worker.postMessage(options);
        }), both());
        assert.deepEqual(joined, { transports: ['websocket'] });
        assert.deepEqual([said, page.faults], [[], []]);
    });

    test('in a browser that does not let an offer be changed', async (t) => {
        const browser = await launchBrowser({ args: ['--force-fieldtrials=WebRTC-NoSdpMangleUfrag/Enabled/'] });
        t.after(() => browser.close());
        const page = await openBlank(t, { ...shared, browser });
        const refused = await page.evaluate(async () => {
            const connection = new RTCPeerConnection();
            connection.createDataChannel('');
            const { sdp } = await connection.createOffer();
            const changed = sdp.replaceAll(/a=ice-ufrag:.*/g, 'a=ice-ufrag:changed');
            return connection.setLocalDescription({ type: 'offer', sdp: changed }).then(() => undefined, ({ name }) => name);
        });
        if (!refused) return t.skip('this browser has no such switch');
        assert.equal(refused, 'InvalidModificationError');
        const client = await createClient(page, { ...options, transports: ['webrtc'] });
        assert.equal((await client.call('connect', gateway.webrtc)).error, undefined);
        assert.deepEqual((await client.peers()).map(({ transport }) => transport), ['webrtc']);
        assert.deepEqual(page.faults, []);
    });
});
