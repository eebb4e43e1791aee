// When there is no network, or it goes away: typed events and errors, never silence.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { before, describe, test } from 'node:test';

import { browserAndServer, createClient, devnet, is, openBlank, scope } from './harness.mjs';

/** A port on which nothing listens. */
function freePort() {
    return new Promise((done, fail) => {
        const server = createServer().once('error', fail);
        server.listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => done(port));
        });
    });
}

describe('without a network', () => {
    let shared;
    const suite = scope();
    before(async () => {
        shared = await browserAndServer(suite);
    });

    test('a client says that it is connecting, that it is stalled, and can be closed', async (t) => {
        const page = await openBlank(t, shared);
        const client = await createClient(page, { network: 'unit-albatross', peers: [`/ip4/127.0.0.1/tcp/${await freePort()}/ws`] });
        const late = await client.call('ready', { timeoutMs: 2000 });
        assert.equal(late.error?.code, 'timeout', late.error?.message);
        const state = await client.state();
        assert.equal(state.consensus, 'connecting');
        assert.equal(state.peers, 0);
        const failed = await client.until(is('dial-failed'), 'word of the dial');
        assert.match(failed.reason, /the WebSocket did not open/);
        const stalled = await client.until(is('stalled'), 'word of the stall');
        assert.ok(stalled.forMs > 0);
        const begun = Date.now();
        assert.equal((await client.call('close')).error, undefined);
        // It gives itself 2 s at most.
        assert.ok(Date.now() - begun < 10_000, 'closing does not wait for anyone');
        // A refused connection is the browser's to report on the console; nothing else may be there.
        assert.deepEqual(page.faults.filter((fault) => !fault.includes('ERR_CONNECTION_REFUSED')), []);
    });

    test('a client whose peers all vanish loses consensus and says so', async (t) => {
        const net = await devnet(t, { epochs: 1 });
        const page = await openBlank(t, shared);
        const client = await createClient(page, { network: net.network, peers: net.addresses });
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        const from = client.events.length;
        await net.stop();
        const since = (type) => client.events.slice(from).filter(is(type));
        await client.until(() => since('peer-left').length >= 3, 'all peers leaving');
        await client.until(() => since('consensus').some(({ state }) => state !== 'established'), 'consensus lost');
        await client.until(() => since('stalled').length > 0, 'word of the stall');
        assert.equal((await client.state()).peers, 0);
        assert.deepEqual(page.faults.filter((fault) => !fault.includes('ERR_CONNECTION')), []);
    });

    test('a page that was sent to the wrong place gets a typed error', async (t) => {
        // The wasm is served as a page that says "not found".
        const context = await shared.browser.newContext();
        t.after(() => context.close());
        const page = await context.newPage();
        await page.route('**/core_bg.wasm', (route) => route.fulfill({ status: 404, contentType: 'text/html', body: '<h1>Not found</h1>' }));
        await page.goto(shared.server.url);
        await page.waitForFunction(() => window.pico !== undefined);
        await assert.rejects(createClient(page, { network: 'unit-albatross', peers: [] }), (error) => {
            assert.ok(error.typed, error.message);
            assert.match(error.message, /core_bg\.wasm/);
            return true;
        });
    });

    test('a page whose worker cannot start verifies in place, and says so', async (t) => {
        const net = await devnet(t, { epochs: 1 });
        const context = await shared.browser.newContext();
        t.after(() => context.close());
        const page = await context.newPage();
        await page.route('**/worker.js', (route) => route.abort());
        await page.goto(shared.server.url);
        await page.waitForFunction(() => window.pico !== undefined);
        const client = await createClient(page, { network: net.network, peers: net.addresses });
        await client.until((event) => event.type === 'worker' && event.status === 'unavailable', 'word of the worker');
        await client.until(is('trust', { level: 'verified' }), 'proof by signatures all the same');
        // Signatures may well be through before enough peers are.
        await client.until(is('consensus', { state: 'established' }), 'consensus all the same');
        assert.equal(client.events.filter(is('fallback')).length, 0);
        assert.equal((await client.state()).consensus, 'established');
    });
});
