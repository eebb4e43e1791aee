// The wallet in a real browser: imported by a page as it is, in a worker, by way of a bundler, and when it can't be had.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { build } from 'vite';

import { root } from '../../scripts/lib/env.mjs';
import { serve } from '../../scripts/serve.mjs';
import { launchBrowser, openPage } from '../package/support.mjs';
import { loadWallet } from './support.mjs';

const KEY = '01'.repeat(32);

let browser;
before(async () => (browser = await launchBrowser()));
after(() => browser?.close());

/** Runs in a page: uses each part of the wallet once. */
async function use(url, key) {
    const { KeyPair, Mnemonic, TransactionBuilder, isValidAddress } = await import(url);
    const keyPair = KeyPair.fromPrivateKey(key);
    const made = KeyPair.fromMnemonic(Mnemonic.generate());
    const transaction = TransactionBuilder.basic({ keyPair, recipient: '00'.repeat(20), value: 5n, validityStartHeight: 1, network: 'unit-albatross' });
    return {
        address: keyPair.address,
        transaction: Array.from(transaction, (byte) => byte.toString(16).padStart(2, '0')).join(''),
        valid: isValidAddress(made.address) && !isValidAddress(made.address.slice(1)),
    };
}

/** What `use` gives, by way of Node. */
async function expected() {
    const { wallet } = await loadWallet();
    const keyPair = wallet.KeyPair.fromPrivateKey(KEY);
    const transaction = wallet.TransactionBuilder.basic({ keyPair, recipient: '00'.repeat(20), value: 5n, validityStartHeight: 1, network: 'unit-albatross' });
    return { address: keyPair.address, transaction: Buffer.from(transaction).toString('hex'), valid: true };
}

/** A page with the package, and what it requested. */
async function opened(options) {
    const site = await openPage(browser, options);
    const requested = [];
    site.page.on('request', (request) => requested.push(new URL(request.url()).pathname));
    return { ...site, requested };
}

describe('in a page', { timeout: 300_000 }, () => {
    test('the wallet is what one import brings, and nothing of the client', async () => {
        const { page, errors, requested, close } = await opened();
        try {
            const result = await page.evaluate(`(${use})('/dist/wallet.js', '${KEY}')`);
            assert.deepEqual(result, await expected());
            assert.deepEqual(requested.sort(), ['/dist/error.js', '/dist/wallet.js', '/dist/wallet_bg.wasm']);
            assert.deepEqual(errors, []);
        } finally {
            await close();
        }
    });

    test('the client brings nothing of the wallet', async () => {
        const { page, requested, close } = await opened();
        try {
            await page.evaluate(async () => {
                const { PicoSyncClient } = await import('/dist/index.js');
                const client = await PicoSyncClient.create({ network: 'unit-albatross', peers: [] });
                await client.close();
            });
            assert.ok(requested.includes('/dist/core_bg.wasm'));
            assert.deepEqual(requested.filter((path) => path.includes('wallet')), []);
        } finally {
            await close();
        }
    });

    test('a worker can have it', async () => {
        const { page, errors, close } = await opened({
            mutate: (path, body) => (path === '/host.js' ? Buffer.from(`(${use})('/dist/wallet.js', '${KEY}').then(postMessage, (error) => postMessage(error.message));`) : body),
        });
        try {
            const result = await page.evaluate(
                () => new Promise((resolve, reject) => {
                    const worker = new Worker('/host.js', { type: 'module' });
                    worker.onmessage = ({ data }) => resolve(data);
                    worker.onerror = ({ message }) => reject(new Error(message));
                }),
            );
            assert.deepEqual(result, await expected());
            assert.deepEqual(errors, []);
        } finally {
            await close();
        }
    });

    test('works when the server calls wasm something else', async () => {
        const { page, close } = await opened();
        try {
            await page.route('**/wallet_bg.wasm', async (route) => {
                const response = await route.fetch();
                await route.fulfill({ response, headers: { ...response.headers(), 'content-type': 'application/octet-stream' } });
            });
            assert.deepEqual(await page.evaluate(`(${use})('/dist/wallet.js', '${KEY}')`), await expected());
        } finally {
            await close();
        }
    });

    for (const [what, code, options] of [
        ['whose wasm is missing', 'not-found', {
            mutate: (path, body) => {
                if (path === '/dist/wallet_bg.wasm') throw Object.assign(new Error('gone'), { code: 'ENOENT' });
                return body;
            },
        }],
        ['whose wasm is none', 'unsupported', { mutate: (path, body) => (path === '/dist/wallet_bg.wasm' ? Buffer.from('<!doctype html>') : body) }],
        ['that the page forbids', 'unsupported', { headers: { 'Content-Security-Policy': "script-src 'self'" } }],
    ]) {
        test(`a wallet ${what} is an import that fails, and says why`, async () => {
            const { page, close } = await opened(options);
            try {
                const failed = await page.evaluate(async () => {
                    const { PicoSyncError } = await import('/dist/error.js');
                    return import('/dist/wallet.js').then(
                        () => 'imported',
                        (error) => [error instanceof PicoSyncError, error.code],
                    );
                });
                assert.deepEqual(failed, [true, code]);
            } finally {
                await close();
            }
        });
    }
});

test('a page bundled by Vite, with no plugin', { timeout: 300_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pico-sync-bundle-'));
    let server;
    try {
        mkdirSync(join(folder, 'node_modules'));
        symlinkSync(root, join(folder, 'node_modules', 'pico-sync-client'), 'dir');
        writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
        writeFileSync(join(folder, 'index.html'), '<!doctype html><script type="module" src="./main.js"></script>');
        writeFileSync(
            join(folder, 'main.js'),
            `import { KeyPair, PicoSyncError } from 'pico-sync-client/wallet';
            import { PicoSyncError as main } from 'pico-sync-client';
            window.result = [KeyPair.fromPrivateKey('${KEY}').address, PicoSyncError === main];`,
        );
        await build({ root: folder, logLevel: 'error', base: './' });
        server = await serve({ mounts: { '/': join(folder, 'dist') } });
        const page = await (await browser.newContext()).newPage();
        await page.goto(server.url);
        await page.waitForFunction(() => window.result);
        assert.deepEqual(await page.evaluate(() => window.result), [(await expected()).address, true]);
        await page.context().close();
    } finally {
        await server?.close();
        rmSync(folder, { recursive: true });
    }
});
