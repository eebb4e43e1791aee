// The built package on pages that have taken away, frozen or patched what it builds on, and in the hands of code that
// gives it nonsense. No chain needed.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launchBrowser, openPage } from './support.mjs';

let browser;
before(async () => (browser = await launchBrowser()));
after(() => browser?.close());

/** Runs `work` in a page on which `before` ran first, with the package imported. Checks that the page saw no uncaught error. */
async function onPage(before, work) {
    const { page, errors, close } = await openPage(browser);
    try {
        await page.addInitScript(before);
        await page.reload();
        await page.evaluate(async () => {
            globalThis.api = await import('/dist/index.js');
            globalThis.outcome = (promise) =>
                promise.then(
                    () => ({}),
                    (error) => ({ ours: error instanceof api.PicoSyncError, name: error.name, code: error.code, message: error.message }),
                );
            /** A client that nobody answers, and what it reports up to its end. */
            globalThis.start = async (options) => {
                const client = await api.PicoSyncClient.create({ network: 'unit-albatross', peers: [], ...options });
                const seen = [];
                const read = (async () => {
                    for await (const event of client) seen.push(event);
                })();
                return { client, seen, end: () => client.close().then(() => read) };
            };
            globalThis.storageOf = async (options) => {
                const { seen, end } = await start(options);
                await end();
                return seen.filter(({ type }) => type === 'storage').map(({ status, reason }) => `${status}: ${reason}`);
            };
        });
        const result = await page.evaluate(work);
        assert.deepEqual(errors, []);
        return result;
    } finally {
        await close();
    }
}

const nothing = () => {};

describe('a page', { timeout: 300_000 }, () => {
    /** It starts, its errors are what they should be, and it ends. */
    const lives = async () => {
        const { client, end } = await start();
        const late = await outcome(client.ready({ timeoutMs: 10 }));
        await end();
        return [late, await outcome(client.getAccount('x'))].map(({ ours, name, code }) => [ours, name, code]);
    };
    const alive = [
        [true, 'PicoSyncError', 'timeout'],
        [true, 'PicoSyncError', 'closed'],
    ];

    test('may freeze what all objects and errors inherit from', async () => {
        const freeze = () => {
            for (const { prototype } of [Object, Function, Array, Error, TypeError, Promise, Map, Set, Uint8Array]) Object.freeze(prototype);
        };
        assert.deepEqual(await onPage(freeze, lives), alive);
    });

    test('may pin down its globals', async () => {
        const pin = () => {
            for (const name of ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'queueMicrotask', 'WebSocket', 'Promise', 'performance', 'crypto']) {
                Object.defineProperty(globalThis, name, { value: globalThis[name], writable: false, configurable: false });
            }
        };
        assert.deepEqual(await onPage(pin, lives), alive);
    });

    test('may have added to what all arrays and objects inherit', async () => {
        const add = () => {
            Array.prototype.extra = () => 1;
            Object.prototype.surprise = 7;
        };
        assert.deepEqual(await onPage(add, lives), alive);
    });

    test('without WebSocket is told so, and nothing is dialled in vain', async () => {
        const away = () => delete globalThis.WebSocket;
        const refused = await onPage(away, () => outcome(start({ peers: ['/ip4/127.0.0.1/tcp/9/ws'] })));
        assert.equal(refused.code, 'unsupported', refused.message);
        assert.match(refused.message, /WebSocket is not available here/);
    });
});

describe('storage', { timeout: 300_000 }, () => {
    test('that a page may not even ask for is told, and done without', async () => {
        const denied = () =>
            Object.defineProperty(globalThis, 'indexedDB', {
                get() {
                    throw new DOMException('storage is denied here', 'SecurityError');
                },
            });
        const { notices, cleared } = await onPage(denied, async () => ({
            notices: await storageOf(),
            cleared: await outcome(api.PicoSyncClient.clearStorage('unit-albatross')),
        }));
        assert.deepEqual(notices, ['unavailable: storage is denied here']);
        assert.equal(cleared.code, 'storage');
        assert.match(cleared.message, /storage is denied here/);
    });

    test('that there is not is memory, unless it was asked for', async () => {
        const none = () => Object.defineProperty(globalThis, 'indexedDB', { value: null });
        const result = await onPage(none, async () => [await storageOf(), await storageOf({ storage: 'indexeddb' })]);
        assert.deepEqual(result, [[], ['unavailable: there is no IndexedDB here']]);
    });

    test('works without locks, which are for the identity alone', async () => {
        const unlocked = () =>
            Object.defineProperty(navigator, 'locks', {
                get() {
                    throw new DOMException('locks are denied here', 'SecurityError');
                },
            });
        assert.deepEqual(await onPage(unlocked, () => storageOf()), []);
    });
});

describe('nonsense', { timeout: 300_000 }, () => {
    test('given to a call is its error, and of the one type', async () => {
        const results = await onPage(nothing, async () => {
            const { client, end } = await start();
            const trap = new Proxy({}, { get: () => { throw new Error('a trap'); } });
            const bare = Object.create(null);
            const found = {};
            for (const [what, value] of Object.entries({ null: null, 'a number': 5, 'a symbol': Symbol('s'), trap, bare })) {
                const calls = {
                    'clearStorage': () => api.PicoSyncClient.clearStorage(value),
                    'ready signal': () => client.ready({ signal: value }),
                    'ready timeoutMs': () => client.ready({ timeoutMs: typeof value === 'number' ? -value : value }),
                    'ready trust': () => client.ready({ trust: value }),
                };
                if (value !== bare) {
                    calls.ready = () => client.ready(value);
                    calls.waitForTransaction = () => client.waitForTransaction('ab'.repeat(32), value);
                }
                for (const [call, work] of Object.entries(calls)) found[`${call}: ${what}`] = await outcome(work());
            }
            const getter = { get signal() { throw new Error('mine'); } };
            found['create with a getter'] = await outcome(api.PicoSyncClient.create(getter));
            await end();
            return found;
        });
        for (const [what, { ours, code }] of Object.entries(results)) assert.deepEqual([ours, code], [true, 'invalid-options'], what);
    });

    test('however long, keeps nobody waiting', async () => {
        const { code, message } = await onPage(nothing, async () => {
            const { client, end } = await start();
            // As base58, a million letters would keep the page busy for minutes.
            const result = await outcome(client.disconnect('x'.repeat(1_000_000)));
            await end();
            return result;
        });
        assert.equal(code, 'invalid-options');
        assert.ok(message.length < 1000, 'and is not repeated in full');
    });
});
