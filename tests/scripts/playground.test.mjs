// What a page may ask of the devnet that serves it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { playground } from '../../scripts/lib/playground.mjs';
import { Refusal } from '../../scripts/serve.mjs';

const ADDRESS = 'NQ46 U66M JNLD 0DJ7 0E9P Q7XR V9KV H976 813A';

describe('the playground', () => {
    const done = [];
    const devnet = {
        network: 'unit-albatross',
        addresses: ['a', 'b'],
        pay: async (...payment) => {
            done.push(['pay', ...payment]);
            return 'hash';
        },
        startLiar: async (kind) => {
            done.push(['start', kind]);
            return '/ip4/127.0.0.1/tcp/1/ws/p2p/12D3KooW';
        },
        stopLiar: async () => void done.push(['stop']),
    };
    const mounts = playground(devnet);

    test('tells where it is', () => {
        const told = { network: 'unit-albatross', peers: ['a', 'b'], verifyingKey: undefined, faucet: '/devnet/faucet', liar: '/devnet/liar' };
        assert.deepEqual(mounts['/devnet.json'](), told);
        assert.deepEqual(playground(devnet, { peers: ['b'] })['/devnet.json']().peers, ['b']);
    });

    test('gives coins to addresses, and not too many', async () => {
        const { POST } = mounts['/devnet/faucet'];
        done.length = 0;
        assert.deepEqual(await POST({ address: ADDRESS }), { hash: 'hash' });
        assert.deepEqual(await POST({ address: ADDRESS.replaceAll(' ', ''), luna: 5 }), { hash: 'hash' });
        assert.deepEqual(done, [['pay', ADDRESS, 100_000_000], ['pay', ADDRESS.replaceAll(' ', ''), 5]]);
        for (const wrong of [{}, { address: 1 }, { address: 'NQ46' }, { address: `${ADDRESS} ` }, { address: ADDRESS, luna: 0 },
            { address: ADDRESS, luna: 1.5 }, { address: ADDRESS, luna: '5' }, { address: ADDRESS, luna: 1e11 }]) {
            await assert.rejects(POST(wrong), (error) => error instanceof Refusal && error.status === 400, JSON.stringify(wrong));
        }
        assert.equal(done.length, 2);
    });

    test('starts a liar and ends it', async () => {
        const { POST, DELETE } = mounts['/devnet/liar'];
        done.length = 0;
        assert.deepEqual(await POST({}), { address: '/ip4/127.0.0.1/tcp/1/ws/p2p/12D3KooW', peerId: '12D3KooW' });
        assert.deepEqual(await DELETE({}), {});
        assert.deepEqual(done, [['start', 'conflicting-election'], ['stop']]);
    });
});
