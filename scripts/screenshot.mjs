// `npm run screenshot`: takes docs/screenshot.png from the real page against a devnet. Needs what `npm start` builds.

import { join } from 'node:path';

import { launchBrowser } from './lib/browser.mjs';
import { startDevnet } from './lib/devnet.mjs';
import { endOnSignals, main, root, say, step } from './lib/env.mjs';
import { buildPage, pageDir } from './lib/page.mjs';
import { serve } from './serve.mjs';
import { setup } from './setup.mjs';

/** Cells of the row of blocks that should be there: a picture of something going on. */
const BLOCKS = 40;

main(async () => {
    await setup('browser');
    await buildPage();
    const devnet = await step('Starting the devnet', () => startDevnet());
    let server;
    let browser;
    const end = async () => {
        await browser?.close();
        await server?.close();
        await devnet.stop();
    };
    endOnSignals(end);
    try {
        server = await serve({ mounts: { '/': pageDir, '/devnet.json': () => ({ network: devnet.network, peers: devnet.addresses }) } });
        browser = await launchBrowser();
        const page = await browser.newPage({ viewport: { width: 1200, height: 1010 }, deviceScaleFactor: 1.5 });
        await page.goto(server.url);
        await step(`Waiting for ${BLOCKS} blocks`, async () => {
            await page.locator('#trust[data-trust=verified]').waitFor({ timeout: 30_000 });
            await page.waitForFunction((n) => document.querySelectorAll('#comb li').length >= n, BLOCKS, { timeout: 120_000 });
        });
        const path = join(root, 'docs', 'screenshot.png');
        await page.screenshot({ path, animations: 'disabled' });
        say(`written to ${path}`);
    } finally {
        await end();
    }
});
