// `npm run screenshot`: takes docs/screenshot.png from the real wallet against a devnet, the network view on a desktop and an
// account on a phone. Needs what `npm start` builds.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { launchBrowser } from './lib/browser.mjs';
import { startDevnet } from './lib/devnet.mjs';
import { endOnSignals, main, root, say, step } from './lib/env.mjs';
import { startGateway } from './lib/gateway.mjs';
import { buildPage, pageDir } from './lib/page.mjs';
import { playground } from './lib/playground.mjs';
import { serve } from './serve.mjs';
import { setup } from './setup.mjs';

/** Blocks that should have come: a picture of something going on. */
const BLOCKS = 25;
/** What the account on the phone was paid, in Luna. */
const PAYMENTS = [125_000_000, 4_250_000, 1_999_000, 75_000_000];
const DESKTOP = { viewport: { width: 1180, height: 860 }, deviceScaleFactor: 1.5, reducedMotion: 'reduce' };
const PHONE = { viewport: { width: 390, height: 1010 }, deviceScaleFactor: 1.5, isMobile: true, hasTouch: true, colorScheme: 'dark', reducedMotion: 'reduce' };
const WAIT = { timeout: 60_000 };

main(async () => {
    await setup('browser');
    await step('Building the page', buildPage);
    const devnet = await step('Starting the devnet', () => startDevnet({ proofs: 'fixture' }));
    let gateway;
    let server;
    let browser;
    const end = async () => {
        await browser?.close();
        await server?.close();
        await gateway?.stop();
        await devnet.stop();
    };
    endOnSignals(end);
    try {
        gateway = await startGateway({ upstreams: devnet.nodes, network: devnet.network });
        server = await serve({ mounts: { '/': pageDir, ...playground(devnet, { peers: [...devnet.addresses, gateway.webrtc] }) } });
        browser = await launchBrowser();
        // One after the other: the times in the picture are those of a page alone.
        const shots = [
            await step('Following the network', () => network(browser, server.url)),
            await step('Paying an account', () => account(browser, server.url, devnet)),
        ];
        const path = join(root, 'docs', 'screenshot.png');
        await beside(browser, shots, path);
        say(`written to ${path}`);
    } finally {
        await end();
    }
});

/** The network view, once some blocks have come. */
async function network(browser, url) {
    const page = await browser.newPage(DESKTOP);
    await page.addInitScript(() => {
        window.heads = 0;
        document.addEventListener('pico-sync-event', ({ detail }) => (window.heads += detail.type === 'head' ? 1 : 0));
    });
    await page.goto(`${url}#/network`);
    await page.locator('[role=status][data-trust=verified]').waitFor({ state: 'attached', ...WAIT });
    await page.waitForFunction((blocks) => window.heads >= blocks, BLOCKS, { timeout: 120_000 });
    return page.screenshot({ animations: 'disabled' });
}

/** An account with a history. */
async function account(browser, url, devnet) {
    const page = await browser.newPage(PHONE);
    await page.goto(`${url}#/import`);
    await page.getByRole('radio', { name: 'Private key' }).check();
    await page.getByLabel('Your private key').fill(randomBytes(32).toString('hex'));
    await page.getByRole('button', { name: 'Continue' }).click();
    const password = randomBytes(16).toString('hex');
    for (const name of ['Password', 'Repeat password']) await page.getByLabel(name, { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Import account' }).click();
    await page.waitForURL(/#\/account\/NQ\w{34}$/, WAIT);
    const address = page.url().match(/NQ\w{34}$/)[0];
    const payments = page.getByTestId('history').locator('[data-hash]:not([data-state=pending])');
    for (const [i, luna] of PAYMENTS.entries()) {
        await devnet.pay(address, luna);
        await payments.nth(i).waitFor(WAIT);
    }
    await page.locator('[role=status][data-trust=verified]').waitFor({ state: 'attached', ...WAIT });
    await page.evaluate(() => scrollTo(0, 0));
    return page.screenshot({ animations: 'disabled' });
}

/** Both in one picture, the second beside the first and a little over it. */
async function beside(browser, [desktop, phone], path) {
    const page = await browser.newPage({ viewport: { width: 1560, height: 920 } });
    const src = (shot) => `data:image/png;base64,${shot.toString('base64')}`;
    await page.setContent(`
        <style>
            body { margin: 0; background: #e9e9f2; }
            img { position: absolute; border-radius: 14px; box-shadow: 0 8px 40px #1f234855; }
            .desktop { left: 40px; top: 30px; width: 1180px; }
            .phone { left: 1190px; top: 50px; width: 316px; border-radius: 28px; border: 6px solid #1f2348; }
        </style>
        <img class="desktop" src="${src(desktop)}"><img class="phone" src="${src(phone)}">`);
    await page.waitForFunction(() => [...document.images].every(({ complete }) => complete));
    await page.screenshot({ path });
}
