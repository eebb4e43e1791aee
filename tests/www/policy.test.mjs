// The page's own Content-Security-Policy: it holds on a server that sends none, and the page gets by with it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launchBrowser } from '../../scripts/lib/browser.mjs';
import { buildPage, pageDir } from '../../scripts/lib/page.mjs';
import { serve } from '../../scripts/serve.mjs';

let browser;
let server;

before(async () => {
    await buildPage();
    browser = await launchBrowser();
    server = await serve({
        mounts: { '/': pageDir, '/devnet.json': () => ({ network: 'unit-albatross', peers: ['/ip4/127.0.0.1/tcp/9/ws'] }) },
        // As good as none.
        headers: { 'Content-Security-Policy': "default-src * data: blob: 'unsafe-inline' 'unsafe-eval'" },
    });
});
after(async () => {
    await browser?.close();
    await server?.close();
});

/** A page, and the breaches of the policy in it: which rule, and what for. */
async function open() {
    const page = await browser.newPage();
    await page.addInitScript(() => {
        window.breaches = [];
        document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => window.breaches.push([effectiveDirective, blockedURI]));
    });
    await page.goto(server.url);
    return page;
}

test('the page gets by with its policy, and so does its client', async () => {
    const page = await open();
    await page.locator('[data-consensus=connecting]').waitFor();
    await page.getByRole('link', { name: 'Create account' }).waitFor();
    assert.deepEqual(await page.evaluate(() => window.breaches), []);
    await page.close();
});

test('what is slipped in does not run, and nothing goes elsewhere', async () => {
    const page = await open();
    await page.getByRole('link', { name: 'Create account' }).waitFor();
    const forbidden = {
        'script-src-elem': () => {
            const script = document.createElement('script');
            script.textContent = 'window.slippedIn = true';
            document.body.append(script);
        },
        'script-src-attr': () => document.body.insertAdjacentHTML('beforeend', '<img src="data:," onerror="window.slippedIn = true">'),
        'style-src-elem': () => document.body.insertAdjacentHTML('beforeend', '<style>body { display: none }</style>'),
        'img-src': () => document.body.insertAdjacentHTML('beforeend', '<img src="https://example.com/pixel.png">'),
        'connect-src': () => void fetch('https://example.com/').catch(() => {}),
        'form-action': () => {
            document.body.insertAdjacentHTML('beforeend', '<form action="https://example.com/"><button>go</button></form>');
            document.querySelector('form[action]').submit();
        },
        'frame-src': () => document.body.insertAdjacentHTML('beforeend', '<iframe src="https://example.com/"></iframe>'),
    };
    for (const [directive, attempt] of Object.entries(forbidden)) {
        await page.evaluate(attempt);
        await page.waitForFunction((directive) => window.breaches.some(([broken]) => broken === directive), directive);
    }
    assert.equal(await page.evaluate(() => window.slippedIn), undefined);
    await page.close();
});
