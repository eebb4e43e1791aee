// The built package in a real browser: options, life cycle, crashes, workers, and how it gets loaded. No chain needed.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

import { DIST, launchBrowser, muteServer, openPage } from './support.mjs';

let browser;
before(async () => (browser = await launchBrowser()));
after(() => browser?.close());

/** Runs `work` in a page with the package imported, and checks that the page saw no uncaught error. */
async function inPage(work, argument, options = {}) {
    const { page, errors, close } = await openPage(browser, options);
    try {
        await page.evaluate(async () => {
            globalThis.api = await import('/dist/index.js');
            /** What became of a promise. */
            globalThis.outcome = (promise) =>
                promise.then(
                    (value) => ({ value }),
                    (error) => ({ ours: error instanceof api.PicoSyncError, code: error.code, message: error.message }),
                );
            globalThis.collect = async (events) => {
                const seen = [];
                try {
                    for await (const event of events) seen.push(event);
                } catch (error) {
                    seen.push({ error: error.code });
                }
                return seen;
            };
        });
        const result = await page.evaluate(work, argument);
        assert.deepEqual(errors, []);
        return result;
    } finally {
        await close();
    }
}

const nothingOpen = { sockets: 0, workers: 0, intervals: 0, timeouts: 0 };

describe('import', () => {
    test('does nothing in Node, and create says what is missing', async () => {
        const { PicoSyncClient, PicoSyncError } = await import(pathToFileURL(join(DIST, 'index.js')));
        await assert.rejects(PicoSyncClient.create(), (error) => error instanceof PicoSyncError && error.code === 'not-found');
    });

    test('is all it takes in a page', async () => {
        const names = await inPage(() => Object.keys(api).sort());
        assert.deepEqual(names, ['PicoSyncClient', 'PicoSyncError']);
    });

    test('a client is not made with new', async () => {
        assert.deepEqual(await inPage(() => outcome((async () => new api.PicoSyncClient())())), {
            ours: true,
            code: 'invalid-options',
            message: 'A client is made with `await PicoSyncClient.create(options)`.',
        });
    });
});

describe('options', () => {
    test('that are wrong are all named', async () => {
        const results = await inPage(async () => {
            const results = [];
            for (const options of [
                { network: 'unknown network', peers: ['nonsense', 5], minPeers: 0, worker: 'w.js', logger: 1, signal: {} },
                { transports: ['webrtc'] },
                7,
                { mode: 'full', surprise: 1 },
            ]) {
                results.push(await outcome(api.PicoSyncClient.create(options)));
            }
            return { results, open: open_() };
        });
        assert.deepEqual(results.results.map(({ ours, code }) => [ours, code]), [
            [true, 'invalid-options'],
            [true, 'unsupported'],
            [true, 'invalid-options'],
            [true, 'invalid-options'],
        ]);
        for (const part of ["'unknown network'", 'nonsense', 'peers: 5', 'minPeers: 0', "worker: 'w.js'", 'logger: 1', 'signal']) {
            assert.ok(results.results[0].message.includes(part), results.results[0].message);
        }
        assert.ok(!results.results[3].message.includes('surprise'));
        assert.deepEqual(results.open, nothingOpen);
    });

    test('what a getter throws is passed on', async () => {
        const result = await inPage(() => outcome(api.PicoSyncClient.create({ get mode() { throw new RangeError('mine'); } })));
        assert.ok(result.ours && result.message.includes('mine'), result.message);
    });
});

describe('a client', { timeout: 300_000 }, () => {
    test('starts, tells its state, and leaves nothing behind', async () => {
        const result = await inPage(async () => {
            const client = await api.PicoSyncClient.create({ network: 'unit-albatross', peers: [] });
            const started = client.state;
            const events = collect(client);
            const nobody = 'NQ07 0000 0000 0000 0000 0000 0000 0000 0000';
            const pending = [
                client.ready(),
                client.ready({ trust: 'verified' }),
                client.getAccounts([nobody]),
                client.getBlock(200),
                client.waitForTransaction('ab'.repeat(32), { timeoutMs: 1e6 }),
                client.transactionsByAddress(nobody).next(),
            ].map(outcome);
            const watched = collect(client.watchAddresses([nobody]));
            // What is told, and what the state is by then.
            const told = (async () => {
                const told = [];
                for await (const event of client) if (event.type === 'consensus') told.push([event.state, client.state.consensus]);
                return told;
            })();
            const peers = client.peers();
            const during = open_();
            await Promise.all([client.close(), client.close()]);
            await client.close();
            return {
                started,
                peers,
                during,
                events: await events,
                told: await told,
                pending: await Promise.all(pending),
                closed: client.state,
                watched: await watched,
                late: await Promise.all(
                    [
                        client.ready(),
                        client.connect('/ip4/127.0.0.1/tcp/1/ws'),
                        client.disconnect('x'),
                        client.getAccount(nobody),
                        client.sendTransaction('00'),
                        client.waitForTransaction('ab'.repeat(32), { timeoutMs: 1e6 }),
                        client.watchAddresses([nobody]).next(),
                    ].map(outcome),
                ),
                log: await outcome((async () => client.setLogLevel('info'))()),
                peersAfter: client.peers(),
                eventsAfter: await collect(client.events()),
                open: open_(),
            };
        });
        assert.equal(result.started.consensus, 'connecting');
        assert.equal(result.started.trust, 'optimistic');
        assert.equal(result.started.head.blockNumber, 200);
        assert.equal(result.started.electionHead.epoch, 0);
        assert.match(result.started.head.hash, /^[0-9a-f]{64}$/);
        assert.deepEqual(result.peers, []);
        assert.equal(result.during.workers, 1);
        assert.equal(result.closed.consensus, 'closed');
        assert.equal(result.closed.head.hash, result.started.head.hash);
        assert.deepEqual(result.events.at(-1).type, 'consensus');
        assert.deepEqual(result.events.at(-1).state, 'closed');
        assert.deepEqual(result.told, [['closed', 'closed']]);
        assert.ok(result.events.every(({ at }) => at > 1.6e12));
        for (const { ours, code } of [...result.pending, ...result.late, result.log]) assert.deepEqual([ours, code], [true, 'closed']);
        assert.deepEqual(result.watched, []);
        assert.deepEqual(result.peersAfter, []);
        assert.deepEqual(result.eventsAfter, []);
        assert.deepEqual(result.open, nothingOpen);
    });

    test('two in one page, on two networks', async () => {
        const heads = await inPage(async () => {
            const clients = await Promise.all(
                ['unit-albatross', 'main-albatross'].map((network) => api.PicoSyncClient.create({ network, peers: [] })),
            );
            const heads = clients.map(({ state }) => state.head.blockNumber);
            await clients[0].close();
            heads.push(clients[0].state.consensus, clients[1].state.consensus);
            await clients[1].close();
            return heads;
        });
        assert.deepEqual(heads, [200, 3_456_000, 'closed', 'connecting']);
    });

    test('ready gives up when told to', async () => {
        const result = await inPage(async () => {
            const client = await api.PicoSyncClient.create({ network: 'unit-albatross', peers: [] });
            const abort = new AbortController();
            const aborted = outcome(client.ready({ signal: abort.signal }));
            abort.abort();
            const results = await Promise.all([
                aborted,
                outcome(client.ready({ timeoutMs: 50 })),
                outcome(client.ready({ signal: abort.signal })),
                outcome(client.ready({ trust: 'much' })),
                outcome(client.ready({ timeoutMs: -1 })),
                outcome(client.ready({ signal: {} })),
            ]);
            await client.close();
            return { results, open: open_() };
        });
        assert.deepEqual(result.results.map(({ code }) => code), ['aborted', 'timeout', 'aborted', 'invalid-options', 'invalid-options', 'invalid-options']);
        assert.match(result.results[1].message, /50 ms.*connecting/);
        assert.match(result.results[3].message, /'much'/);
        assert.deepEqual(result.open, nothingOpen);
    });

    test('ends with its signal', async () => {
        const result = await inPage(async () => {
            const [early, during, late] = [new AbortController(), new AbortController(), new AbortController()];
            early.abort();
            const refused = await outcome(api.PicoSyncClient.create({ signal: early.signal }));
            const starting = outcome(api.PicoSyncClient.create({ signal: during.signal, peers: [] }));
            during.abort();
            const client = await api.PicoSyncClient.create({ signal: late.signal, peers: [] });
            const events = collect(client);
            late.abort();
            await events;
            return { refused, starting: await starting, state: client.state.consensus, open: open_() };
        });
        assert.equal(result.refused.code, 'aborted');
        assert.equal(result.starting.code, 'aborted');
        assert.equal(result.state, 'closed');
        assert.deepEqual(result.open, nothingOpen);
    });

    test('logs where it is told to, as much as it is told to', async () => {
        const { page, errors, close } = await openPage(browser);
        try {
            const result = await page.evaluate(async () => {
                const { PicoSyncClient } = await import('/dist/index.js');
                const records = [];
                let client;
                const logged = new Promise((resolve) => {
                    globalThis.logger = (record) => {
                        records.push(record);
                        // Calling back must neither end in a loop nor disturb the client, nor may what it throws.
                        client?.setLogLevel('trace');
                        void client?.state;
                        resolve();
                        if (records.length === 1) throw new TypeError('of the page');
                    };
                });
                client = await PicoSyncClient.create({ network: 'unit-albatross', peers: ['/ip4/127.0.0.1/tcp/1/ws'], logLevel: 'trace', logger });
                await logged;
                let wrong;
                try {
                    client.setLogLevel('loud');
                } catch ({ code, message }) {
                    wrong = { code, message };
                }
                globalThis.logger = undefined;
                client.setLogLevel('off');
                await new Promise((resolve) => setTimeout(resolve));
                const count = records.length;
                await client.connect('/ip4/127.0.0.1/tcp/2/ws').catch(() => {});
                const { consensus } = client.state;
                await client.close();
                return { records, more: records.length - count, wrong, consensus };
            });
            assert.ok(result.records.length > 0);
            for (const { level, target, message } of result.records) {
                assert.match(level, /^(error|warn|info|debug|trace)$/);
                assert.ok(target && message);
            }
            assert.equal(result.wrong.code, 'invalid-options');
            assert.match(result.wrong.message, /'loud'/);
            assert.equal(result.consensus, 'connecting');
            assert.deepEqual(errors, ['of the page']);
        } finally {
            await close();
        }
    });
});

describe('a crash', { timeout: 300_000 }, () => {
    test('ends everything of its client, and nothing else', async () => {
        const peer = await muteServer();
        try {
            const { page, errors, close } = await openPage(browser);
            try {
                await page.evaluate(async (address) => {
                    const { PicoSyncClient } = (globalThis.api = await import('/dist/index.js'));
                    const outcome = (promise) => promise.then((value) => ({ value }), ({ code, message }) => ({ code, message }));
                    const client = await PicoSyncClient.create({ network: 'unit-albatross', peers: [address] });
                    const other = await PicoSyncClient.create({ network: 'unit-albatross', peers: [] });
                    const reader = client.events();
                    const read = async () => {
                        for await (const event of reader) void event;
                    };
                    globalThis.client = client;
                    globalThis.other = other;
                    const nobody = 'NQ07 0000 0000 0000 0000 0000 0000 0000 0000';
                    globalThis.watch = client.watchAddresses([nobody]);
                    globalThis.ends = Promise.all(
                        [
                            read(),
                            client.ready(),
                            client.ready({ trust: 'verified', timeoutMs: 1e6 }),
                            client.getAccount(nobody),
                            client.waitForTransaction('ab'.repeat(32), { timeoutMs: 1e6 }),
                            watch.next(),
                        ].map(outcome),
                    );
                }, peer.address);
                await peer.accepted();
                await page.evaluate(() => {
                    globalThis.random = crypto.getRandomValues;
                    // The keys of the handshake need randomness, and there is no going on without: the core panics.
                    Crypto.prototype.getRandomValues = () => {
                        throw new Error('no entropy');
                    };
                });
                peer.agreeToNoise();
                for (const end of await page.evaluate(() => ends)) {
                    assert.equal(end.code, 'crashed');
                    assert.match(end.message, /panicked/);
                }
                await peer.closed();
                const afterwards = await page.evaluate(async () => {
                    Crypto.prototype.getRandomValues = random;
                    const outcome = (promise) => promise.then((value) => ({ value }), ({ code }) => ({ code }));
                    const late = await Promise.all(
                        [client.ready(), client.connect('/ip4/127.0.0.1/tcp/1/ws'), client.events().next(), client.getBlock(200)].map(outcome),
                    );
                    // There is nothing left to free, and trying does no harm.
                    await watch.return();
                    const state = client.state;
                    await client.close();
                    const second = await api.PicoSyncClient.create({ network: 'main-albatross', peers: [] });
                    const states = [state.consensus, other.state.consensus, second.state.consensus];
                    await Promise.all([other.close(), second.close()]);
                    return { late, states, open: open_() };
                });
                assert.deepEqual(afterwards.late, Array(4).fill({ code: 'crashed' }));
                assert.deepEqual(afterwards.states, ['closed', 'connecting', 'connecting']);
                assert.deepEqual(afterwards.open, nothingOpen);
                assert.deepEqual(errors, []);
            } finally {
                await close();
            }
        } finally {
            await peer.close();
        }
    });
});

describe('the verification worker', { timeout: 300_000 }, () => {
    const missing = (kind) => (path, body) => {
        if (path === '/dist/worker.js') throw Object.assign(new Error(kind), { code: 'ENOENT' });
        return body;
    };

    test('that can not be loaded is reported, and done without', async () => {
        const events = await inPage(
            async () => {
                const client = await api.PicoSyncClient.create({ network: 'unit-albatross', peers: [] });
                let found;
                for await (const event of client) {
                    if (event.type !== 'worker') continue;
                    found = event;
                    break;
                }
                const state = client.state.consensus;
                await client.close();
                return { found, state, open: open_() };
            },
            undefined,
            { mutate: missing('gone') },
        );
        assert.equal(events.found.status, 'unavailable');
        assert.equal(events.state, 'connecting');
        assert.deepEqual(events.open, nothingOpen);
    });

    test('can be the page’s own', async () => {
        const result = await inPage(async () => {
            let made = 0;
            const ready = new Promise((resolve) => {
                globalThis.makeWorker = () => {
                    made += 1;
                    const worker = new Worker('/own-worker.js', { type: 'module' });
                    worker.addEventListener('message', ({ data }) => resolve(data), { once: true });
                    return worker;
                };
            });
            const client = await api.PicoSyncClient.create({ network: 'unit-albatross', peers: [], worker: makeWorker });
            const first = await ready;
            await client.close();
            return { made, first, open: open_() };
        });
        assert.deepEqual(result, { made: 1, first: { type: 'ready' }, open: nothingOpen });
    });

    test('a client runs in a worker itself', async () => {
        const states = await inPage(
            () =>
                new Promise((resolve, reject) => {
                    const host = new Worker('/host.js', { type: 'module' });
                    host.onmessage = ({ data }) => resolve(data);
                    host.onerror = ({ message }) => reject(new Error(message));
                    host.postMessage({ network: 'unit-albatross', peers: [] });
                }),
        );
        assert.deepEqual(states, ['connecting', 'closed']);
    });
});

describe('loading', { timeout: 300_000 }, () => {
    test('works when the server calls wasm something else', async () => {
        const { page, close } = await openPage(browser);
        try {
            await page.route('**/core_bg.wasm', async (route) => {
                const response = await route.fetch();
                await route.fulfill({ response, headers: { ...response.headers(), 'content-type': 'application/octet-stream' } });
            });
            const state = await page.evaluate(async () => {
                const { PicoSyncClient } = await import('/dist/index.js');
                const client = await PicoSyncClient.create({ network: 'unit-albatross', peers: [] });
                const { consensus } = client.state;
                await client.close();
                return consensus;
            });
            assert.equal(state, 'connecting');
        } finally {
            await close();
        }
    });

    test('is tried again after a failure', async () => {
        const { page, close } = await openPage(browser);
        try {
            await page.route('**/core_bg.wasm', (route) => route.fulfill({ status: 503, body: 'later' }), { times: 1 });
            const results = await page.evaluate(async () => {
                const { PicoSyncClient } = await import('/dist/index.js');
                const create = () => PicoSyncClient.create({ network: 'unit-albatross', peers: [] });
                const failed = await create().catch(({ code, message }) => ({ code, message }));
                const client = await create();
                await client.close();
                return [failed, client.state.consensus];
            });
            assert.equal(results[0].code, 'not-found');
            assert.match(results[0].message, /503/);
            assert.equal(results[1], 'closed');
        } finally {
            await close();
        }
    });

    test('says so when the server answers with its start page, and what to do about it', async () => {
        const { page, close } = await openPage(browser);
        try {
            await page.route('**/core_bg.wasm', (route) => route.fulfill({ contentType: 'text/html; charset=utf-8', body: '<!doctype html>' }));
            const failed = await page.evaluate(async () => {
                const { PicoSyncClient } = await import('/dist/index.js');
                return PicoSyncClient.create({ network: 'unit-albatross', peers: [] }).catch(({ code, message }) => ({ code, message }));
            });
            assert.equal(failed.code, 'not-found');
            assert.match(failed.message, /core_bg\.wasm answered a page.*pico-sync-client\/embedded/);
        } finally {
            await close();
        }
    });

    test('says so when the page forbids WebAssembly', async () => {
        const result = await inPage(() => outcome(api.PicoSyncClient.create({ peers: [] })), undefined, {
            headers: { 'Content-Security-Policy': "script-src 'self'" },
        });
        assert.deepEqual([result.ours, result.code], [true, 'unsupported']);
    });

    test('of a verifying key: for those only who join its network, and under a strict policy', async () => {
        const { page, errors, close } = await openPage(browser, {
            headers: { 'Content-Security-Policy': "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src data:" },
        });
        try {
            const requests = [];
            page.on('request', (request) => requests.push(new URL(request.url()).pathname));
            const keys = () => requests.filter((path) => path.startsWith('/dist/keys/'));
            const join = (options) =>
                page.evaluate(async (options) => {
                    const { PicoSyncClient } = await import('/dist/index.js');
                    const client = await PicoSyncClient.create({ peers: [], ...options });
                    const events = client.events();
                    await client.close();
                    const zkp = [];
                    for await (const event of events) if (event.type === 'zkp') zkp.push(event.reason);
                    return zkp;
                }, options);
            assert.deepEqual(await join({ network: 'main-albatross' }), []);
            assert.deepEqual(keys(), []);
            assert.deepEqual(await join({ network: 'unit-albatross' }), []);
            assert.deepEqual(keys(), ['/dist/keys/unit-albatross.js']);
            assert.deepEqual(errors, []);
        } finally {
            await close();
        }
    });

    test('happens once for any number of clients', async () => {
        const { page, close } = await openPage(browser);
        try {
            const requests = [];
            page.on('request', (request) => requests.push(new URL(request.url()).pathname));
            await page.evaluate(async () => {
                const { PicoSyncClient } = await import('/dist/index.js');
                const clients = await Promise.all([1, 2, 3].map(() => PicoSyncClient.create({ network: 'unit-albatross', peers: [] })));
                await Promise.all(clients.map((client) => client.close()));
            });
            assert.equal(requests.filter((path) => path.endsWith('.wasm')).length, 1);
        } finally {
            await close();
        }
    });
});
