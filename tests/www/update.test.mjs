// A new version of the page: it waits until the user wants it, then all of the page is of that version. In a browser, without a
// network: the page is given a peer that is none, so that its client fails at once, which the page has to be able to say.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launchBrowser } from '../../scripts/lib/browser.mjs';
import { buildPage, pageDir } from '../../scripts/lib/page.mjs';
import { serve } from '../../scripts/serve.mjs';

let browser;
let server;
/** What the server adds to the service worker: another text is another version. */
let version = '';

before(async () => {
    await buildPage();
    browser = await launchBrowser();
    server = await serve({
        mounts: { '/': pageDir, '/devnet.json': () => ({ network: 'unit-albatross', peers: ['nobody'] }) },
        mutate: (path, body) => (path === '/sw.js' && version ? Buffer.from(body.toString().replace(/"version":"\w+"/, `"version":"${version}"`)) : body),
    });
});
after(async () => {
    await browser?.close();
    await server?.close();
});

test('a new version waits until it is wanted, and reloads the page then', async () => {
    version = '';
    const page = await browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(error));
    await page.goto(server.url);
    await page.getByText('With these settings it can’t connect').waitFor();
    await page.getByText('not a multiaddr').waitFor();
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    const caches = () => page.evaluate(() => window.caches.keys());
    const [first, ...others] = await caches();
    assert.deepEqual(others, [], 'one version, one cache');
    assert.equal(await page.getByRole('button', { name: 'Reload' }).count(), 0, 'the first version is no new one');

    version = 'another';
    await page.evaluate(async () => void (await (await navigator.serviceWorker.getRegistration()).update()));
    const button = page.getByRole('button', { name: 'Reload' });
    await button.waitFor();
    assert.ok((await caches()).includes(first), 'until then, the page is kept as it is');
    await page.evaluate(() => (window.before = true));
    await button.click();
    await page.waitForFunction(() => window.before === undefined && document.querySelector('h1') !== null);
    assert.deepEqual(await caches(), ['pico-sync-another']);
    assert.deepEqual(errors, []);
    await page.close();
});

test('every file of the page is kept, and nothing else', async () => {
    const page = await browser.newPage();
    await page.goto(server.url);
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    const kept = await page.evaluate(async () => (await (await window.caches.open((await window.caches.keys())[0])).keys()).map(({ url }) => new URL(url).pathname));
    for (const file of ['/index.html', '/manifest.webmanifest', '/icon.svg']) assert.ok(kept.includes(file), file);
    for (const part of [/core_bg-.*\.wasm$/, /wallet_bg-.*\.wasm$/, /worker-.*\.js$/, /index-.*\.css$/]) assert.ok(kept.some((path) => part.test(path)), String(part));
    assert.deepEqual(kept.filter((path) => /\.map$|devnet|sw\.js/.test(path)), []);
    await page.close();
});
