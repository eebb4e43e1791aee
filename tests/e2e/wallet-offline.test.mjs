// The wallet without a network, and as an app of its own: what the service worker and the manifest are for.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { launchProfile } from '../../scripts/lib/browser.mjs';
import { scratchFolder } from '../scratch.mjs';
import { WAIT, inSync, openIn, shoot, visit, walletStage } from './wallet-harness.mjs';

describe('the wallet, once loaded', () => {
    const shared = walletStage();

    /** A page whose files are all kept. */
    async function keptPage(t) {
        const page = await shared.open(t);
        await inSync(page);
        await page.waitForFunction(() => navigator.serviceWorker.controller !== null, undefined, WAIT);
        return page;
    }

    test('opens without a network, says so, and goes on by itself with one', async (t) => {
        const page = await keptPage(t);
        const context = page.context();
        await context.setOffline(true);
        await shared.net.stopNodes();
        t.after(() => shared.net.startNodes());
        const answers = [];
        page.on('response', (response) => answers.push([new URL(response.url()).pathname, response.fromServiceWorker()]));
        await page.reload();
        await page.getByRole('link', { name: 'Network' }).click();
        await page.getByRole('heading', { level: 1 }).waitFor(WAIT);
        await page.getByText('Offline', { exact: true }).first().waitFor(WAIT);
        assert.deepEqual(answers.filter(([, kept]) => !kept), []);
        assert.ok(answers.some(([path]) => path.endsWith('.wasm')), 'the client started without a network');
        await shoot(page, 'wallet-offline');

        await shared.net.startNodes();
        await context.setOffline(false);
        await inSync(page);
        assert.deepEqual(page.faults, []);
    });

    test('keeps no more than its own files', async (t) => {
        const page = await keptPage(t);
        const kept = await page.evaluate(async () => {
            const requests = [];
            for (const name of await caches.keys()) requests.push(...(await (await caches.open(name)).keys()));
            return requests.map(({ url }) => url);
        });
        assert.ok(kept.length > 5);
        for (const url of kept) assert.ok(url.startsWith(shared.server.url) && !url.includes('devnet'), url);
        assert.deepEqual(page.faults, []);
    });

    test('can be installed', async (t) => {
        const page = await keptPage(t);
        const session = await page.context().newCDPSession(page);
        const { errors, manifest: text } = await session.send('Page.getAppManifest').then(({ errors, data }) => ({ errors, manifest: data }));
        assert.deepEqual(errors, []);
        const manifest = JSON.parse(text);
        assert.ok(manifest.name && manifest.start_url && manifest.display === 'standalone' && manifest.theme_color && manifest.background_color);
        const sizes = manifest.icons.map(({ sizes, purpose = 'any' }) => `${sizes} ${purpose}`);
        for (const size of ['192x192 any', '512x512 any', '512x512 maskable']) assert.ok(sizes.includes(size), `${size} of ${sizes}`);
        for (const { src, sizes } of manifest.icons.filter(({ type }) => type === 'image/png')) {
            const real = await page.evaluate(async (src) => {
                const image = await createImageBitmap(await (await fetch(src)).blob());
                return `${image.width}x${image.height}`;
            }, src);
            assert.equal(real, sizes, src);
        }
        const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
        // A context of the tests' own is a private window, in which nothing can be installed.
        assert.deepEqual(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito'), []);
    });

    test('is offered as an app, installs and opens as one', async (t) => {
        const context = await launchProfile(scratchFolder('profile'));
        t.after(() => context.close());
        const page = await openIn(context, shared);
        await visit(page, '#/settings');
        const offer = page.getByRole('button', { name: 'Install as an app' });
        await offer.waitFor(WAIT);

        const session = await context.newCDPSession(page);
        const { appId: manifestId } = await session.send('Page.getAppId');
        await session.send('PWA.install', { manifestId });
        const [app] = await Promise.all([context.waitForEvent('page', WAIT), session.send('PWA.launch', { manifestId })]);
        await app.getByRole('link', { name: 'Create account' }).waitFor(WAIT);
        assert.equal(app.url(), shared.server.url);
        await session.send('PWA.uninstall', { manifestId });

        // What it leads to is the browser's own, and can't be seen without a screen. It can be asked for once.
        await offer.click();
        await offer.waitFor({ state: 'detached', ...WAIT });
        assert.deepEqual(page.faults, []);
    });

    test('is there before the client is', async (t) => {
        const context = await shared.browser.newContext();
        t.after(() => context.close());
        // The wasm doesn't come at all.
        await context.route(/\.wasm$/, () => {});
        const page = await openIn(context, shared);
        for (const name of ['Create account', 'Import account', 'Watch address']) {
            await page.getByRole('link', { name }).or(page.getByRole('button', { name })).first().waitFor(WAIT);
        }
        // It is in the page before it is on the screen.
        await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length === 1, undefined, WAIT);
        assert.deepEqual(page.faults, []);
    });
});
