// Bad options: refused with a message that names the value, before anything is dialled.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { browserAndServer, createClient, openBlank, scope } from './harness.mjs';

describe('bad options', () => {
    let shared;
    const suite = scope();
    before(async () => {
        shared = await browserAndServer(suite);
    });

    const cases = [
        ['an unknown network', { network: 'nimiq-mainnet' }, ['network', 'nimiq-mainnet']],
        ['an address that is none', { peers: ['tcp://127.0.0.1:8443'] }, ['peers', 'tcp://127.0.0.1:8443']],
        [
            'every bad address of several',
            { peers: ['/ip4/127.0.0.1/tcp/8443/ws', '/ip4/127.0.0.1/tcp/99999/ws', 'nonsense'] },
            ['/ip4/127.0.0.1/tcp/99999/ws', 'nonsense'],
        ],
        ['a network and an address, both listed', { network: 'moon', peers: ['there'] }, ['moon', 'there']],
        ['peers that are no list', { peers: '/ip4/127.0.0.1/tcp/8443/ws' }, ['peers']],
        ['an unknown mode', { mode: 'full' }, ['mode', 'full']],
        ['no peers at all to agree with', { minPeers: 0 }, ['minPeers', '0']],
        ['half a peer', { minPeers: 1.5 }, ['minPeers', '1.5']],
        ['fewer peers than are needed', { minPeers: 5, desiredPeers: 2 }, ['desiredPeers', '2', '5']],
        ['an unknown transport', { transports: ['pigeon'] }, ['transports', 'pigeon']],
        ['an unknown log level', { logLevel: 'loud' }, ['logLevel', 'loud']],
        ['a checkpoint without a hash', { checkpoint: { blockNumber: 5 } }, ['checkpoint', 'hash']],
        ['a checkpoint with half a hash', { checkpoint: { blockNumber: 5, hash: 'abcd' } }, ['checkpoint', 'abcd']],
        ['options that are no object', 'fast please', ['fast please']],
    ];
    test('reject with invalid-options and name the value', async (t) => {
        const page = await openBlank(t, shared);
        let dialled = 0;
        page.on('websocket', () => (dialled += 1));
        for (const [what, options, names] of cases) {
            await assert.rejects(createClient(page, options), (error) => {
                assert.equal(error.code, 'invalid-options', what);
                assert.equal(error.name, 'PicoSyncError', what);
                assert.ok(error.typed, what);
                for (const name of names) assert.ok(error.message.includes(name), `${what}: "${error.message}" does not name ${name}`);
                return true;
            });
        }
        assert.equal(dialled, 0);
        assert.deepEqual(page.faults, []);
    });

    test('ask for what is not there: unsupported', async (t) => {
        const page = await openBlank(t, shared, (page) => page.addInitScript(() => delete window.RTCPeerConnection));
        const webrtc = '/ip4/1.2.3.4/udp/9/webrtc-direct/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g';
        for (const options of [{ transports: ['webrtc'] }, { peers: [webrtc] }]) {
            await assert.rejects(createClient(page, options), ({ code, message }) => {
                assert.equal(code, 'unsupported');
                assert.match(message, /WebRTC is not available here: there is no RTCPeerConnection/);
                return true;
            });
        }
        assert.deepEqual(page.faults, []);
    });

    test('leave nothing to dial: unsupported', async (t) => {
        const page = await openBlank(t, shared);
        const peers = ['/ip4/127.0.0.1/tcp/9/ws'];
        await assert.rejects(createClient(page, { peers, transports: ['webrtc'] }), ({ code, message }) => {
            assert.equal(code, 'unsupported');
            assert.match(message, /WebSocket is not among the transports that may be used/);
            return true;
        });
        assert.deepEqual(page.faults, []);
    });

    test('that nobody knows are ignored', async (t) => {
        const page = await openBlank(t, shared);
        const client = await createClient(page, { network: 'unit-albatross', peers: [], frobnicate: true });
        assert.equal((await client.call('close')).error, undefined);
    });
});
