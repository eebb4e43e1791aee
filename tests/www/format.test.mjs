// How the page writes amounts, times and events.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { loadPageModule } from './bundle.mjs';

let format;
before(async () => {
    format = await loadPageModule('lib/format.ts');
});

test('amounts in NIM, exactly', () => {
    const { nim } = format;
    assert.equal(nim(0n), '0');
    assert.equal(nim(1n), '0.00001');
    assert.equal(nim(100_000n), '1');
    assert.equal(nim(123_456_000n), '1,234.56');
    assert.equal(nim(123_456_000n, { fixed: true }), '1,234.56000');
    assert.equal(nim(-150_000n), '−1.5');
    // More than a JavaScript number can hold.
    assert.equal(nim(2_100_000_000_000_001n), '21,000,000,000.00001');
});

test('durations and bytes', () => {
    const { bytes, duration } = format;
    assert.deepEqual([12, 1420, 65_000, 7_260_000, 400 * 86_400_000].map(duration), ['12 ms', '1.42 s', '1 min 5 s', '2 h 1 min', '400 days']);
    assert.deepEqual([742, 38_240, 999_999, 1_400_000].map(bytes), ['742 B', '38.2 kB', '1.00 MB', '1.40 MB']);
});

test('a clock that is behind the chain’s is no reason to speak of the future', () => {
    assert.equal(format.age(10_500, 10_000), 'just now');
    assert.equal(format.age(10_000, 75_000), '1 min 5 s ago');
    assert.match(format.age(1e9, 0), /ahead of this device’s clock/);
});

test('every event is a sentence; one that this page does not know is shown as it came', () => {
    const peerId = '12D3KooWABCDEFGHIJKL';
    const say = (event) => format.describe({ at: 0, ...event });
    assert.equal(say({ type: 'peer-joined', peerId, address: '/ip4/10.0.0.1/tcp/1/ws/p2p/12D3', transport: 'websocket' }), '…EFGHIJKL joined from /ip4/10.0.0.1/tcp/1/ws');
    assert.equal(say({ type: 'fallback', from: 'pico', to: 'light', peerId, reason: 'another election block' }), 'from pico to light sync, because of …EFGHIJKL: another election block');
    assert.equal(say({ type: 'zkp', status: 'verified', blockNumber: 968, peerId, ms: 281 }), '…EFGHIJKL: proof of block 968 holds, checked in 281 ms');
    assert.equal(say({ type: 'stalled', forMs: 9000, action: 'redial' }), 'nothing for 9.00 s: dialling peers again');
    assert.equal(say({ type: 'dial-failed', address: '/ip4/10.0.0.1/tcp/1/ws', reason: 'refused' }), '/ip4/10.0.0.1/tcp/1/ws can’t be reached');
    assert.equal(say({ type: 'storage', status: 'restored', record: 'chain', blockNumber: 1608 }), 'goes on with a proven chain, up to block 1,608');
    assert.equal(say({ type: 'news', what: 1 }), '{"what":1}');
});
