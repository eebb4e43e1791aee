// The page that people see, on a desktop and on a phone.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import { env } from '../../scripts/lib/env.mjs';
import { pageDir } from '../../scripts/lib/page.mjs';
import { serve } from '../../scripts/serve.mjs';
import { browserAndServer, devnet, scope } from './harness.mjs';

const SCREENS = [
    ['desktop', { viewport: { width: 1280, height: 900 } }],
    ['desktop-dark', { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' }],
    ['phone', { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }],
    ['small-phone', { viewport: { width: 320, height: 640 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, colorScheme: 'dark' }],
];
const WAIT = { timeout: 60_000 };

describe('the page', () => {
    let browser;
    let net;
    let server;
    const suite = scope();
    before(async () => {
        ({ browser } = await browserAndServer(suite));
        net = await devnet(suite, { epochs: 3 });
        server = await serve({ mounts: { '/': pageDir, '/devnet.json': () => ({ network: net.network, peers: net.addresses }) } });
        suite.after(() => server.close());
    });

    async function open(t, options) {
        const context = await browser.newContext(options);
        t.after(() => context.close());
        const page = await context.newPage();
        page.faults = [];
        page.on('pageerror', (error) => page.faults.push(error.stack));
        page.on('console', (message) => message.type() === 'error' && page.faults.push(message.text()));
        page.on('request', (request) => {
            if (!request.url().startsWith(server.url) && !request.url().startsWith('data:')) page.faults.push(`asked for ${request.url()}`);
        });
        await page.goto(server.url);
        return page;
    }

    for (const [name, options] of SCREENS) {
        test(`shows a client at work (${name})`, async (t) => {
            const page = await open(t, options);
            await page.getByRole('status').filter({ hasText: 'Consensus established' }).waitFor(WAIT);
            await page.locator('#trust', { hasText: 'verified' }).waitFor(WAIT);
            const number = async () => Number((await page.locator('#head-number').innerText()).replaceAll(',', ''));
            const first = await number();
            assert.ok(first >= net.head);
            await page.waitForFunction((n) => Number(document.getElementById('head-number').textContent.replaceAll(',', '')) > n, first, WAIT);
            assert.equal(await page.locator('#peers tr').count(), 3);
            assert.deepEqual(await page.locator('#peers .badge').allInnerTexts(), ['good', 'good', 'good']);
            for (const id of ['macro-number', 'election-number']) assert.match(await page.locator(`#${id}`).innerText(), /^[\d,]+$/);
            assert.match(await page.locator('#election-epoch').innerText(), /^epoch \d+$/);
            assert.match(await page.locator('#received').innerText(), /\d+(\.\d+)? [kM]?B/);
            for (const when of await page.locator('#milestones .when').allInnerTexts()) assert.match(when, /^[\d.]+ m?s$/);
            assert.ok((await page.locator('#log li').count()) > 5);
            assert.ok((await page.locator('#comb li').count()) > 0);
            const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
            assert.ok(content <= screen, `${content} px of content on ${screen} px`);

            const folder = join(env().cacheDir, 'screenshots');
            mkdirSync(folder, { recursive: true });
            await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
            assert.deepEqual(page.faults, []);
        });
    }

    test('says plainly what is wrong, and takes a better answer', async (t) => {
        const page = await open(t);
        await page.getByRole('status').filter({ hasText: 'Consensus established' }).waitFor(WAIT);
        const peers = page.locator('#peers-list');
        const good = await peers.inputValue();
        await peers.fill('/ip4/127.0.0.1/udp/nonsense');
        await page.getByRole('button', { name: 'Connect' }).click();
        await page.getByRole('alert').filter({ hasText: '/ip4/127.0.0.1/udp/nonsense' }).waitFor(WAIT);
        assert.match(await page.getByRole('alert').innerText(), /^invalid-options: /);
        await page.getByRole('status').filter({ hasText: 'Failed' }).waitFor(WAIT);

        await peers.fill(good);
        await page.getByRole('button', { name: 'Connect' }).click();
        await page.getByRole('status').filter({ hasText: 'Consensus established' }).waitFor(WAIT);
        assert.equal(await page.locator('#error').isHidden(), true);

        await page.getByRole('button', { name: 'Close the client' }).click();
        await page.getByRole('status').filter({ hasText: 'Closed' }).waitFor(WAIT);
        assert.deepEqual(page.faults, []);
    });

    test('can be used without a mouse and read without eyes', async (t) => {
        const page = await open(t);
        const problems = await page.evaluate(() => {
            const found = [];
            for (const control of document.querySelectorAll('button, select, textarea, input')) {
                if (!control.labels?.length && !control.textContent.trim() && !control.ariaLabel) found.push(`no name: ${control.outerHTML}`);
            }
            for (const labelled of document.querySelectorAll('[aria-labelledby]')) {
                if (!document.getElementById(labelled.getAttribute('aria-labelledby'))) found.push(`nothing labels ${labelled.outerHTML.slice(0, 80)}`);
            }
            const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
            if (new Set(ids).size !== ids.length) found.push('an id is there twice');
            return found;
        });
        assert.deepEqual(problems, []);
        await page.keyboard.press('Tab');
        assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
    });
});
