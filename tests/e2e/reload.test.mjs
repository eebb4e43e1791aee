// What a client leaves behind in IndexedDB, and what the next one makes of it: gone on from, or told to be of no use.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { blake2b } from './blake2b.mjs';
import { assertSeamless, createClient, devnet, is, liveHeads, openBlank, stage } from './harness.mjs';

/** Where the fields of a chain's record are; a checksum of 32 bytes ends it. */
const VERSION_AT = 4;
const NETWORK_AT = 5;
const GENESIS_AT = 6;

const stored = (status, record) => is('storage', { status, record });
/** Those of one network, by record. */
const records = (page, network) =>
    page.evaluate(async (network) => {
        const found = {};
        for (const entry of await window.database((store) => store.getAll())) {
            if (entry.network === network) found[entry.record] = { ...entry, bytes: entry.bytes && [...entry.bytes] };
        }
        return found;
    }, network);
/** Writes an entry as it stands, whatever that may be. */
const write = (page, entry) =>
    page.evaluate((entry) => {
        if (Array.isArray(entry.bytes)) entry.bytes = Uint8Array.from(entry.bytes);
        return window.database((store) => store.put(entry));
    }, entry);

/** Runs in the page: access to the database that does not go through the package. */
function openDatabase() {
    globalThis.database = (work) =>
        new Promise((resolve, reject) => {
            const opening = indexedDB.open('pico-sync', 1);
            opening.onupgradeneeded = () => opening.result.createObjectStore('records', { keyPath: ['network', 'record'] });
            opening.onerror = () => reject(opening.error);
            opening.onsuccess = () => {
                const transaction = opening.result.transaction('records', 'readwrite');
                const request = work(transaction.objectStore('records'));
                transaction.oncomplete = () => {
                    opening.result.close();
                    resolve(request.result);
                };
                transaction.onabort = () => reject(transaction.error);
            };
        });
}

const open = (t, shared, context, ...scripts) =>
    openBlank(
        t,
        shared,
        async (page) => {
            for (const script of [openDatabase, ...scripts]) await page.addInitScript(script);
        },
        context,
    );

/** Waits until a client is established and verified. Returns the events up to then. */
async function settled(client) {
    await client.until(is('consensus', { state: 'established' }), 'consensus');
    await client.until(is('trust', { level: 'verified' }), 'trust');
    return client.events;
}

describe('storage', () => {
    const shared = stage({ epochs: 2 });
    const options = (more) => ({ network: shared.net.network, peers: shared.net.addresses, ...more });

    /** A page whose client was verified and is closed, and what it left behind. */
    async function visited(t, context, ...scripts) {
        const page = await open(t, shared, context, ...scripts);
        const client = await createClient(page, options());
        await settled(client);
        await client.call('close');
        return { page, left: await records(page, shared.net.network) };
    }

    test('a reload goes on from what was verified', async (t) => {
        const page = await open(t, shared);
        const first = await createClient(page, options());
        assert.deepEqual((await settled(first)).filter(is('storage')), [], 'there was nothing yet');
        await liveHeads(first, 2);
        // At once, without a word to the client: what it knows is written when the page goes.
        await page.reload();
        await page.waitForFunction(() => window.pico !== undefined);
        const before = await records(page, shared.net.network);
        assert.deepEqual(Object.keys(before).sort(), ['chain', 'chain-mark', 'contacts', 'identity']);

        const second = await createClient(page, options());
        await second.until(is('consensus', { state: 'established' }), 'consensus');
        for (const record of ['identity', 'contacts', 'chain']) assert.ok(second.events.some(stored('restored', record)), record);
        const trust = second.events.filter(is('trust'));
        assert.deepEqual(trust.map(({ level, via }) => [level, via]), [['verified', 'storage']]);
        assert.equal(trust[0].blockNumber, before.chain.blockNumber);
        const state = await second.state();
        assert.equal(state.trust, 'verified');
        assert.equal(second.events.filter(is('macro-sync')).some(({ outcome }) => outcome !== 'good'), false);
        await liveHeads(second, 3);
        assertSeamless(second.events);
        await second.call('close');
        const after = await records(page, shared.net.network);
        assert.deepEqual(after.identity.bytes, before.identity.bytes, 'the same identity');
        assert.ok(after.chain.blockNumber >= before.chain.blockNumber);
        assert.deepEqual(page.faults, []);
    });

    test('records of no use are discarded, told, and replaced', async (t) => {
        let { page, left } = await visited(t);
        const changed = (record, change, seal = true) => () => {
            const entry = structuredClone(left[record]);
            change(entry.bytes);
            if (seal) entry.bytes.splice(-32, 32, ...blake2b(Uint8Array.from(entry.bytes.slice(0, -32)), 32));
            return entry;
        };
        const cases = [
            ['damaged', /damaged/, changed('chain', (bytes) => (bytes[200] ^= 4), false)],
            ['cut short', /damaged/, () => ({ ...left.chain, bytes: left.chain.bytes.slice(0, 500) })],
            ['of another network', /another network/, changed('chain', (bytes) => (bytes[NETWORK_AT] = 24))],
            ['of another genesis block', /another network/, changed('chain', (bytes) => (bytes[GENESIS_AT] ^= 1))],
            ['of a later release', /version is 2, which is from the future/, changed('chain', (bytes) => (bytes[VERSION_AT] = 2))],
            ['of an earlier release', /version is 0, which is outdated/, changed('chain', (bytes) => (bytes[VERSION_AT] = 0))],
            ['no bytes at all', /no record/, () => ({ ...left.chain, bytes: 'a string' })],
            ['of nonsense with a checksum', /damaged/, changed('chain', (bytes) => bytes.fill(0xff, 38, -32))],
            ['a downgrade', /downgrade/, () => ({ network: shared.net.network, record: 'chain-mark', blockNumber: left.chain.blockNumber + 32 }), 'chain'],
            ['damaged contacts', /damaged/, changed('contacts', (bytes) => (bytes[40] ^= 1), false)],
            ['contacts of another network', /another network/, changed('contacts', (bytes) => (bytes[10] ^= 1))],
            ['too short an identity', /damaged/, () => ({ ...left.identity, bytes: left.identity.bytes.slice(1) })],
        ];
        for (const [what, reason, spoilt, concerned] of cases) {
            const entry = spoilt();
            const record = concerned ?? entry.record;
            await write(page, entry);
            const client = await createClient(page, options());
            const events = await settled(client);
            const discarded = events.filter(is('storage', { status: 'discarded' }));
            assert.deepEqual(discarded.map(({ record }) => record), [record], what);
            assert.match(discarded[0].reason, reason, what);
            assert.equal(events.find(is('trust', { level: 'verified' })).via, record === 'chain' ? 'signatures' : 'storage', what);
            await client.call('close');
            const now = await records(page, shared.net.network);
            assert.notDeepEqual(now[record]?.bytes, entry.bytes, `${what}: it was replaced`);
            if (record === 'chain') assert.equal(now['chain-mark'].blockNumber, now.chain.blockNumber);
            // The next one has all of this but one record. A chain that was left too long ago would not be gone on from.
            left = now;
        }
        assert.deepEqual(page.faults, []);
    });

    test('a clock that was put back makes a record one from the future', async (t) => {
        const context = await shared.browser.newContext();
        t.after(() => context.close());
        const { page } = await visited(t, context);
        await page.close();
        const early = await open(t, shared, context, () => {
            const { now } = Date;
            Date.now = () => now() - 3_600_000;
        });
        const client = await createClient(early, options());
        const events = await settled(client);
        assert.match(events.find(stored('discarded', 'chain')).reason, /from the future/);
        assert.equal((await client.state()).consensus, 'established');
    });

    test('a chain that the network contradicts is given up', async (t) => {
        const { page, left } = await visited(t);
        // Where its peers were is another story.
        await write(page, { ...left.contacts, bytes: [] });
        // The same genesis block, and nothing else in common.
        const other = await devnet(t, { epochs: 2 });
        const client = await createClient(page, { network: other.network, peers: other.addresses });
        await client.until(stored('discarded', 'chain'), 'word of what was stored');
        await client.until(is('trust', { via: 'signatures' }), 'proof by signatures');
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        await liveHeads(client, 2);
        assert.deepEqual(client.events.filter(is('peer-left')).filter(({ reason }) => reason === 'banned'), [], 'nobody is a liar for it');
        const { head } = await client.state();
        assert.ok(Math.abs(head.timestamp - Date.now()) < 30_000);
        await client.call('close');
        const next = await createClient(page, { network: other.network, peers: other.addresses });
        await next.until(is('trust', { via: 'storage' }), 'the other chain, restored');
        assert.deepEqual(page.faults, []);
    });

    test('two tabs share it', async (t) => {
        const context = await shared.browser.newContext();
        t.after(() => context.close());
        const { page, left } = await visited(t, context);
        const two = await open(t, shared, context);
        const clients = await Promise.all([createClient(page, options()), createClient(two, options())]);
        for (const client of clients) await settled(client);
        const keepers = clients.filter(({ events }) => events.some(stored('restored', 'identity')));
        assert.equal(keepers.length, 1, 'one of them has the identity');
        for (const { events } of clients) {
            assert.ok(events.some(stored('restored', 'chain')) && events.some(stored('restored', 'contacts')));
            assert.equal(events.some(stored('discarded')), false);
        }
        for (const client of clients) await liveHeads(client, 2);
        // An older state does not replace a newer one, whoever writes last.
        const newest = { ...left.chain, blockNumber: left.chain.blockNumber + 32_000 };
        await write(page, newest);
        await write(page, { network: shared.net.network, record: 'chain-mark', blockNumber: newest.blockNumber });
        await Promise.all(clients.map((client) => client.call('close')));
        const after = await records(two, shared.net.network);
        assert.equal(after.chain.blockNumber, newest.blockNumber);
        assert.deepEqual(after.identity.bytes, left.identity.bytes);
        // The identity is free again.
        await write(page, left.chain);
        await write(page, left['chain-mark']);
        const third = await createClient(page, options());
        await settled(third);
        assert.ok(third.events.some(stored('restored', 'identity')));
        for (const { faults } of [page, two]) assert.deepEqual(faults, []);
    });

    test('is forgotten when it is told to be', async (t) => {
        const { page, left } = await visited(t);
        await write(page, { ...left.chain, network: 'main-albatross' });
        const clear = (network) => page.evaluate((network) => window.pico.PicoSyncClient.clearStorage(network).then(() => undefined, window.pico.plain), network);
        assert.equal((await clear('nowhere'))?.code, 'invalid-options');
        assert.equal(await clear(shared.net.network), undefined);
        assert.deepEqual(await records(page, shared.net.network), {});
        assert.deepEqual(Object.keys(await records(page, 'main-albatross')), ['chain'], 'other networks keep theirs');
        const client = await createClient(page, options());
        assert.deepEqual((await settled(client)).filter(is('storage')), []);
        assert.deepEqual(page.faults, []);
    });

    test('is left alone where memory is asked for', async (t) => {
        const { page, left } = await visited(t);
        const client = await createClient(page, options({ storage: 'memory' }));
        assert.deepEqual((await settled(client)).filter(is('storage')), []);
        await client.call('close');
        assert.deepEqual(await records(page, shared.net.network), left);
    });

    test('that does not work is told, and the client works', async (t) => {
        const failures = {
            refuses: () => {
                indexedDB.open = () => {
                    throw new DOMException('not in this mode', 'InvalidStateError');
                };
            },
            hangs: () => {
                indexedDB.open = () => ({});
            },
            'is full': () => {
                IDBObjectStore.prototype.put = function () {
                    this.transaction.abort();
                };
            },
        };
        for (const [what, failure] of Object.entries(failures)) {
            const page = await openBlank(t, shared, (page) => page.addInitScript(failure));
            const client = await createClient(page, options());
            await settled(client);
            const { reason } = await client.until(is('storage', { status: 'unavailable' }), `word that it ${what}`);
            assert.ok(reason, what);
            await liveHeads(client, 2);
            assert.equal((await client.call('close')).error, undefined);
            assert.deepEqual(page.faults, [], what);
        }
    });
});
