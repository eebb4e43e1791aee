// What the network view is told of a sync: from events as a client emits them, without a client.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { loadPageModule } from './bundle.mjs';

const LIAR = '12D3KooWLiarLiar';
const HONEST = '12D3KooWHonest01';
const OTHER = '12D3KooWHonest02';
const LIE = { blockNumber: 968, hash: 'aa'.repeat(32), epoch: 6, election: true };
const TRUTH = { ...LIE, hash: 'bb'.repeat(32) };

/** As the client tells of a liar that it heard first; `at` counts up. */
const STORY = [
    { type: 'peer-joined', peerId: LIAR, address: '/ip4/10.0.0.1/tcp/1/ws', transport: 'websocket' },
    { type: 'macro-block', ...LIE, trust: 'optimistic' },
    { type: 'trust', level: 'optimistic', via: 'peers', blockNumber: 968 },
    { type: 'macro-sync', outcome: 'good', peerId: LIAR },
    { type: 'peer-joined', peerId: HONEST, address: '/ip4/10.0.0.2/tcp/1/ws', transport: 'websocket' },
    { type: 'zkp', status: 'requested', blockNumber: 328, peerId: LIAR },
    { type: 'macro-sync', outcome: 'conflicting', peerId: HONEST, reason: 'another election block than ours' },
    { type: 'fallback', from: 'pico', to: 'light', peerId: HONEST, reason: 'another election block than ours' },
    { type: 'zkp', status: 'verifying', blockNumber: 968, peerId: HONEST },
    { type: 'macro-block', ...TRUTH, trust: 'verified' },
    { type: 'zkp', status: 'verified', blockNumber: 968, peerId: HONEST, ms: 281 },
    { type: 'macro-sync', outcome: 'conflicting', peerId: LIAR, reason: 'another election block than the verified one' },
    { type: 'peer-left', peerId: LIAR, reason: 'banned' },
    { type: 'macro-sync', outcome: 'good', peerId: HONEST },
    { type: 'trust', level: 'verified', via: 'zkp', blockNumber: 968 },
    { type: 'consensus', state: 'established' },
].map((event, at) => ({ at, ...event }));

/** Stands in for the package: a client that emits what the test gave it, then stays as it is. */
const PACKAGE = `export const PicoSyncClient = { create: async ({ script }) => ({
    get state() { return script.state; },
    peers: () => [],
    close: async () => {},
    async *events() { yield* script.events; await new Promise(() => {}); },
}) };`;

let Session;
let standing;
before(async () => {
    ({ Session } = await loadPageModule('state/session.ts', { 'pico-sync-client': PACKAGE }));
    ({ standing } = await loadPageModule('views/network/standing.ts'));
});

/** A session that was told `events`. */
function told(events, state = {}) {
    return new Promise((resolve) => {
        let left = events.length;
        const session = new Session(0, (event) => {
            if (event) left -= 1;
            if (!event || left > 0) return;
            // As the page does before it draws.
            session.read();
            resolve(session);
        });
        void session.run({ script: { events, state: { consensus: 'syncing', trust: 'optimistic', peers: 1, ...state } } });
    });
}
/** Up to the event of that index, without it. */
const until = (predicate) => STORY.slice(0, STORY.findIndex(predicate));

test('what was believed from a liar is known as given up, by whose word, and how it was proven', async () => {
    const { fallbacks, anchor, macros } = await told(STORY);
    assert.equal(fallbacks.length, 1);
    const [fallback] = fallbacks;
    assert.equal(fallback.peerId, HONEST);
    assert.equal(fallback.given.hash, LIE.hash);
    assert.deepEqual(fallback.proven, { at: 10, via: 'zkp', blockNumber: 968, ms: 281 });
    assert.deepEqual(fallback.banned, [{ peerId: LIAR, at: 12, reason: 'another election block than the verified one' }]);
    assert.equal(fallback.recovered, 15);
    assert.equal(anchor, 328);
    assert.deepEqual(
        macros.map(({ hash, trust }) => [hash, trust]),
        [[TRUTH.hash, 'verified']],
        'nothing of the lie is left in the chain',
    );
});

test('between the fallback and the recovery no peer is believed, and none is called a liar', async () => {
    const session = await told(until(({ status }) => status === 'verifying'));
    assert.equal(session.inDispute, true);
    assert.equal(standing(session.peers.get(LIAR), true).word, 'in doubt');
    assert.equal(standing(session.peers.get(HONEST), true).word, 'contradicts');
    const after = await told(STORY, { consensus: 'established', trust: 'verified' });
    assert.equal(after.inDispute, false);
    assert.equal(standing(after.peers.get(HONEST), false).word, 'good');
    const liar = after.peers.get(LIAR);
    assert.deepEqual([standing(liar, false).word, liar.connected, liar.reason], ['banned', false, 'another election block than the verified one']);
});

test('a peer that leaves in peace is not called banned', async () => {
    const { peers } = await told([...until(({ type }) => type === 'zkp'), { at: 9, type: 'peer-left', peerId: LIAR, reason: 'connection closed' }]);
    const { word, gone } = standing(peers.get(LIAR), false);
    assert.deepEqual([word, gone], ['left', true]);
});

test('milestones are reached once, in their order, and a client that was verified before is so at once', async () => {
    const { milestones } = await told(
        [
            { at: 0, type: 'macro-block', ...TRUTH, trust: 'verified' },
            { at: 1, type: 'trust', level: 'verified', via: 'storage', blockNumber: 968 },
            { at: 2, type: 'peer-joined', peerId: OTHER, address: '', transport: 'webrtc' },
        ],
        { consensus: 'established', trust: 'verified' },
    );
    assert.deepEqual([...milestones.keys()].sort(), ['established', 'head', 'peer', 'verified']);
    assert.ok(milestones.get('established') <= milestones.get('verified'));
});

test('blocks that were reverted are gone, and a macro block counts once', async () => {
    const head = (blockNumber, more = {}) => ({ at: 0, type: 'head', kind: 'extended', blockNumber, hash: `h${blockNumber}`, adopted: [], reverted: [], ...more });
    const { blocks } = await told([
        { at: 0, type: 'macro-block', blockNumber: 968, hash: 'h968', epoch: 6, election: true, trust: 'verified' },
        head(968),
        head(969),
        head(970),
        head(970, { kind: 'rebranched', hash: 'other', reverted: ['h970'] }),
    ]);
    assert.deepEqual(
        blocks.map(({ hash, kind }) => [hash, kind]),
        [
            ['h968', 'election'],
            ['h969', 'micro'],
            ['other', 'micro'],
        ],
    );
});

test('what is kept of a page that stays open does not grow', async () => {
    const events = Array.from({ length: 1000 }, (_, i) => ({ at: i, type: 'head', kind: 'extended', blockNumber: i, hash: `h${i}`, adopted: [], reverted: [] }));
    const session = await told(events);
    assert.equal(session.eventCount, 1000);
    assert.ok(session.events.length <= 400 && session.blocks.length <= 64, `${session.events.length} events, ${session.blocks.length} blocks`);
    for (let i = 0; i < 200; i += 1) session.sample();
    assert.ok(session.traffic.length <= 90, `${session.traffic.length} seconds of traffic`);
});

test('that nobody can be reached is counted until somebody is', async () => {
    const failed = { at: 0, type: 'dial-failed', address: '/ip4/10.0.0.1/tcp/1/ws', reason: 'refused' };
    assert.equal((await told([failed, failed], { peers: 0 })).unreachable, 2);
    assert.equal((await told([failed, STORY[0]], { peers: 0 })).unreachable, 0);
});
