// What the tests of the demo wallet's modules share: the modules themselves, without the page around them.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { rolldown } from 'rolldown';
import { build } from 'vite';

import { launchBrowser } from '../../scripts/lib/browser.mjs';
import { root } from '../../scripts/lib/env.mjs';
import { serve } from '../../scripts/serve.mjs';

const SOURCES = join(root, 'www', 'src');

/** A module of `www/src` in Node, with what it imports. For those that need no browser. `t.after` removes what that leaves. */
export async function loadModule(t, name) {
    const folder = mkdtempSync(join(tmpdir(), 'pico-sync-wallet-page-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const bundle = await rolldown({ input: join(SOURCES, name), resolve: { extensionAlias: { '.js': ['.ts', '.tsx', '.js'] } }, external: /^pico-sync-client/ });
    const file = join(folder, 'module.mjs');
    await bundle.write({ file, format: 'esm' });
    await bundle.close();
    return import(pathToFileURL(file).href);
}

/**
 * The modules in a browser, as `tests/wallet-page/page/main.js` has them, served as the page is. Resolves with
 * `{ open, close }`; `open(context)` gives a page with a browser context of its own, or with one that is there.
 */
export async function openModules() {
    const folder = mkdtempSync(join(tmpdir(), 'pico-sync-wallet-page-'));
    await build({
        root: join(import.meta.dirname, 'page'),
        configFile: false,
        logLevel: 'warn',
        build: { target: 'es2022', outDir: folder, emptyOutDir: true, modulePreload: false },
    });
    const server = await serve({ mounts: { '/': folder } });
    const browser = await launchBrowser();
    return {
        async open(context) {
            const own = context ?? (await browser.newContext());
            const page = await own.newPage();
            page.faults = [];
            page.on('pageerror', (error) => page.faults.push(error.stack));
            page.on('console', (message) => message.type() === 'error' && page.faults.push(message.text()));
            await page.goto(server.url);
            await page.waitForFunction(() => window.modules);
            return page;
        },
        async close() {
            await browser.close();
            await server.close();
            rmSync(folder, { recursive: true });
        },
    };
}
