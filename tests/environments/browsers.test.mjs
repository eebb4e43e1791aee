// The packed package in pages as users make them: by each bundler with nothing configured, by none, and in a worker. Each
// of them syncs with a devnet until all is verified, asks for an account, and signs.

import assert from 'node:assert/strict';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { before, describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';

import { launchBrowser } from '../../scripts/lib/browser.mjs';
import { start } from '../../scripts/lib/env.mjs';
import { serve } from '../../scripts/serve.mjs';
import { CONTENT_SECURITY_POLICY } from '../../www/content-security-policy.js';
import { PATIENCE_MS, devnet, scope } from '../e2e/harness.mjs';
import { packed, project, tool } from './support.mjs';

/** As strict as it gets, but for workers whose script comes from the page itself. */
const WITH_OWN_SCRIPTS = CONTENT_SECURITY_POLICY.replace("worker-src 'self'", "worker-src 'self' blob:");

/** A page around a bundle. */
const around = (script) => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A dApp</title><link rel="icon" href="data:,">${script}</head></html>`;

/** Serves `folder`, until `t` ends. */
async function hosted(t, folder, options = {}) {
    const server = await serve({ mounts: { '/': folder }, ...options });
    t.after(() => server.close());
    return server.url;
}

/** Vite's own server on `folder`, until `t` ends. Resolves with its URL. */
async function developed(t, folder) {
    const child = start(process.execPath, [join(folder, 'node_modules/vite/bin/vite.js'), '--host', '127.0.0.1', '--port', '0'], { cwd: folder });
    const closed = new Promise((resolve) => child.once('close', resolve));
    t.after(async () => {
        child.kill();
        await closed;
    });
    const said = [];
    child.stderr.on('data', (data) => said.push(`${data}`));
    return new Promise((resolve, reject) => {
        createInterface({ input: child.stdout }).on('line', (line) => {
            const [, url] = stripVTControlCharacters(line).match(/Local:\s+(http\S+)/) ?? [];
            if (url) resolve(url);
        });
        closed.then((code) => reject(new Error(`vite ended with code ${code}: ${said.join('')}`)));
    });
}

describe('the package', { timeout: 600_000 }, () => {
    const t = scope();
    let browser;
    let net;
    let installed;
    before(async () => {
        installed = packed();
        net = await devnet(t, { epochs: 1 });
        browser = await launchBrowser();
        t.after(() => browser.close());
    });

    /** Opens the app at `url`. `said` has what is on the console, `loaded` each response, `call` calls `window.app`. */
    async function visit(url) {
        const page = await (await browser.newContext()).newPage();
        const said = [];
        const loaded = [];
        // Vite's server talks to its page.
        page.on('console', (message) => message.text().startsWith('[vite]') || said.push(`${message.type()}: ${message.text()}`));
        page.on('pageerror', (error) => said.push(`uncaught: ${error.stack ?? error}`));
        page.on('response', (response) => loaded.push({ url: response.url(), status: response.status(), type: response.headers()['content-type'] }));
        await page.addInitScript(countCompilations);
        await page.goto(url, { timeout: PATIENCE_MS });
        await page.waitForFunction(() => window.app, undefined, { timeout: PATIENCE_MS });
        return {
            said,
            loaded,
            call: (name, ...args) => page.evaluate(([name, args]) => window.app[name](...args), [name, args]),
            compiled: () => page.evaluate(() => window.compiled),
            close: () => page.context().close(),
        };
    }

    /** What the client is to be given, and the account to ask for. */
    const options = () => ({ network: net.network, peers: net.addresses, account: net.funded.address });

    function assertSynced(report, worker = []) {
        assert.equal(report.trust, 'verified');
        assert.ok(report.head >= net.head);
        assert.ok(BigInt(report.balance) > 0n);
        assert.ok(report.transports.length >= 1 && report.transports.every((transport) => transport === 'websocket'), `${report.transports}`);
        assert.equal(report.after, 'closed');
        assert.deepEqual(report.worker, worker);
    }

    async function assertSigns(page) {
        const transaction = { recipient: '00'.repeat(20), value: '5', network: net.network, validityStartHeight: net.head };
        const signed = await page.call('sign', net.funded.privateKey, transaction);
        assert.deepEqual(signed, { address: net.funded.address, bytes: 139, sameError: true });
    }

    const wasm = (page) => page.loaded.filter(({ url }) => new URL(url).pathname.endsWith('.wasm'));

    /** A build that has its files at hand: loaded once each, as a stream, and when they are needed. */
    async function assertUsesFiles(url) {
        const page = await visit(url);
        assert.deepEqual(wasm(page), [], 'nothing is loaded before there is a client');
        assertSynced(await page.call('sync', options()));
        assertSynced(await page.call('sync', options()));
        // Once for page, worker, and the second client with its worker.
        assert.deepEqual(wasm(page).map(({ status, type }) => [status, type]), [[200, 'application/wasm']]);
        assert.deepEqual(await page.compiled(), { compileStreaming: 1 });
        await assertSigns(page);
        assert.equal(wasm(page).length, 2);
        assert.deepEqual(await page.compiled(), { compileStreaming: 2 });
        assertQuiet(page);
        await page.close();
    }

    /** One that has them within. */
    async function assertUsesText(url) {
        const page = await visit(url);
        assertSynced(await page.call('sync', options()));
        assertSynced(await page.call('sync', options()));
        assert.deepEqual(await page.compiled(), { compileStreaming: 1 });
        await assertSigns(page);
        assert.deepEqual(await page.compiled(), { compileStreaming: 1, Module: 1 });
        assert.deepEqual(wasm(page), []);
        assertQuiet(page);
        await page.close();
    }

    function assertQuiet(page) {
        assert.deepEqual(page.said, []);
        assert.deepEqual(page.loaded.filter(({ status }) => status !== 200), []);
    }

    async function assertSyncs(url, how) {
        const page = await visit(url);
        assertSynced(await page.call(how, options()));
        assertQuiet(page);
        await page.close();
    }

    describe('built by Vite, under a strict policy', () => {
        const t = scope();
        let url;
        before(async () => {
            const folder = await project('vite', installed);
            await tool(folder, 'vite/bin/vite.js', ['build', '--logLevel', 'warn']);
            url = await hosted(t, join(folder, 'dist'));
        });

        test('works', () => assertUsesFiles(url));
        test('works with a worker of the app’s own', () => assertSyncs(url, 'syncWithOwnWorker'));
        test('works within a worker', () => assertSyncs(url, 'syncInWorker'));
    });

    for (const [name, title] of [['vite', 'Vite'], ['vite-7', 'Vite 7']]) {
        test(`works on ${title}’s development server`, async (t) => {
            const folder = await project(name, installed);
            const url = await developed(t, folder);
            await assertUsesText(url);
            await assertSyncs(url, 'syncInWorker');
        });
    }

    describe('built by webpack, under a strict policy', () => {
        const t = scope();
        let url;
        before(async () => {
            const folder = await project('webpack', installed);
            await tool(folder, 'webpack/bin/webpack.js', ['--mode', 'production']);
            writeFileSync(join(folder, 'dist', 'index.html'), around('<script defer src="main.js"></script>'));
            url = await hosted(t, join(folder, 'dist'));
        });

        test('works', () => assertUsesFiles(url));
        test('works with a worker of the app’s own', () => assertSyncs(url, 'syncWithOwnWorker'));
        test('works within a worker', () => assertSyncs(url, 'syncInWorker'));
    });

    describe('built by esbuild', () => {
        const t = scope();
        let folder;
        before(async () => {
            folder = await project('esbuild', installed);
        });
        const build = (...args) => tool(folder, 'esbuild/bin/esbuild', ['--bundle', '--log-level=error', ...args]);

        test('works as one script', async (t) => {
            await build('src/index.js', '--outfile=one/main.js');
            writeFileSync(join(folder, 'one', 'index.html'), around('<script defer src="main.js"></script>'));
            await assertUsesText(await hosted(t, join(folder, 'one'), { headers: { 'Content-Security-Policy': WITH_OWN_SCRIPTS } }));
        });

        test('works as modules, under a strict policy with a worker of the app’s own', async (t) => {
            await build('src/index.js', 'src/own-worker.js', '--format=esm', '--splitting', '--outdir=many');
            writeFileSync(join(folder, 'many', 'index.html'), around('<script type="module" src="index.js"></script>'));
            const url = await hosted(t, join(folder, 'many'));
            await assertSyncs(url, 'syncWithOwnWorker');
            // The worker of the package is a script of the page's own making, which such a policy forbids: then without.
            const page = await visit(url);
            const report = await page.call('sync', options());
            assertSynced(report, [{ status: 'unavailable', reason: report.worker[0]?.reason }]);
            await assertSigns(page);
            await page.close();
        });
    });

    describe('without a bundler, under a strict policy', () => {
        const t = scope();
        let folder;
        let url;
        before(async () => {
            folder = await project('plain', installed);
            cpSync(installed, join(folder, 'pico-sync-client'), { recursive: true });
            url = await hosted(t, folder);
        });

        test('works', () => assertUsesFiles(url));
        test('works with a worker of the app’s own', () => assertSyncs(url, 'syncWithOwnWorker'));
        test('works within a worker', () => assertSyncs(url, 'syncInWorker'));

        for (const [what, served] of [
            ['that forbids workers', { headers: { 'Content-Security-Policy': CONTENT_SECURITY_POLICY.replace("worker-src 'self'", "worker-src 'none'") } }],
            ['where the worker’s script is missing', {
                mutate: (path, body) => {
                    if (path.endsWith('/dist/worker.js')) throw Object.assign(new Error('gone'), { code: 'ENOENT' });
                    return body;
                },
            }],
        ]) {
            test(`works on a page ${what}, and says that it checks signatures itself`, async (t) => {
                const page = await visit(await hosted(t, folder, served));
                const report = await page.call('sync', options());
                assertSynced(report, [{ status: 'unavailable', reason: report.worker[0]?.reason }]);
                assert.ok(report.worker[0].reason);
                await page.close();
            });
        }
    });
});

/** Runs in pages, before anything else. */
function countCompilations() {
    window.compiled = {};
    const count = (name) => (window.compiled[name] = (window.compiled[name] ?? 0) + 1);
    for (const name of ['compile', 'compileStreaming', 'instantiateStreaming']) {
        const real = WebAssembly[name];
        WebAssembly[name] = (...args) => {
            count(name);
            return real.apply(WebAssembly, args);
        };
    }
    WebAssembly.Module = new Proxy(WebAssembly.Module, {
        construct(Module, args) {
            count('Module');
            return new Module(...args);
        },
    });
}
