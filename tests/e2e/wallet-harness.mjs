// What the wallet's tests share: the page as `npm start` serves it, next to a devnet, and a person who uses it. What a
// page must never do is watched all the time.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { before } from 'node:test';

import { launchBrowser } from '../../scripts/lib/browser.mjs';
import { env } from '../../scripts/lib/env.mjs';
import { pageDir } from '../../scripts/lib/page.mjs';
import { playground } from '../../scripts/lib/playground.mjs';
import { serve } from '../../scripts/serve.mjs';
import { Feed, devnet, scope } from './harness.mjs';

/** How long anything may take, on however slow a machine. What takes longest, to become final, takes 16 s where nothing else runs. */
export const WAIT = { timeout: 120_000 };

/** The screens that people have. */
export const SCREENS = {
    desktop: { viewport: { width: 1280, height: 900 } },
    phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
};

/** The password of every test. Nobody would find it by chance in what is stored. */
export const PASSWORD = 'correct horse battery staple';

/**
 * For the body of a suite: `browser`, a `server` of the wallet, and `net`, the devnet beside it, once the tests run; they
 * end after them. `open(t, options)` gives a page in a context of its own, that ends with the test.
 */
export function walletStage(options = { proofs: 'fixture' }) {
    const shared = { suite: scope() };
    before(async () => {
        shared.net = await devnet(shared.suite, options);
        shared.server = await serve({ mounts: { '/': pageDir, ...playground(shared.net) } });
        shared.suite.after(() => shared.server.close());
        shared.browser = await launchBrowser();
        shared.suite.after(() => shared.browser.close());
    });
    shared.open = async (t, { path = '', ...context } = {}) => {
        const own = await shared.browser.newContext({ ...SCREENS.desktop, reducedMotion: 'reduce', ...context });
        t.after(() => own.close());
        return openIn(own, shared, path);
    };
    return shared;
}

/**
 * The wallet in a page of `context`. `page.faults` collects what should never happen: errors, breaches of the
 * Content-Security-Policy, and requests to anybody but the server and the nodes. `page.said` is all it wrote to the console,
 * `page.feed` has the events of its clients, and `until` to wait for one.
 */
export async function openIn(context, { server }, path = '') {
    const page = await context.newPage();
    page.faults = [];
    page.said = [];
    page.feed = new Feed();
    page.on('pageerror', (error) => page.faults.push(`uncaught: ${error.stack || error}`));
    page.on('crash', () => page.faults.push('the page crashed'));
    page.on('console', (message) => {
        const text = message.text();
        page.said.push(text);
        if (message.type() === 'error' && !isTheBrowsers(text)) page.faults.push(`console: ${text}`);
    });
    page.on('request', (request) => {
        const url = request.url();
        if (!url.startsWith(server.url) && !/^(data|blob):/.test(url)) page.faults.push(`asked for ${url}`);
    });
    page.on('websocket', (socket) => {
        if (!socket.url().startsWith('ws://127.0.0.1:')) page.faults.push(`asked for ${socket.url()}`);
    });
    await page.exposeBinding('reportEvent', (_, event) => page.feed.take(event));
    await page.exposeBinding('reportBreach', (_, breach) => page.faults.push(`against the policy: ${breach}`));
    await page.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', (event) => window.reportBreach(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
        document.addEventListener('pico-sync-event', ({ detail }) => window.reportEvent(detail));
    });
    await page.goto(`${server.url}${path}`);
    return page;
}

/** The browser itself says on the console that there is no network, and that a node refused a socket. */
const isTheBrowsers = (text) => /^WebSocket connection to |net::ERR_INTERNET_DISCONNECTED/.test(text);

/** The client of the page agrees with its peers; with `trust: 'verified'`, the chain is proven, too. */
export async function inSync(page, { trust } = {}) {
    await page.locator(`[role=status][data-consensus=established]${trust ? `[data-trust=${trust}]` : ''}`).waitFor({ state: 'attached', ...WAIT });
}

/** Keeps a picture of the page, for people to look at after the tests. */
export async function shoot(page, name, options = {}) {
    for (const folder of [join(env().cacheDir, 'screenshots'), process.env.PICO_SYNC_ARTEFACTS].filter(Boolean)) {
        mkdirSync(folder, { recursive: true });
        await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled', ...options });
    }
}

/** The page is no wider than the screen. */
export async function assertFits(page, what) {
    const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= screen, `${what}: ${content} px of content on ${screen} px`);
}

/** Goes to a view without loading the page again. */
export async function visit(page, hash) {
    await page.evaluate((hash) => (location.hash = hash), hash);
    await page.getByRole('heading', { level: 1 }).waitFor(WAIT);
}

/** Types the password that is wanted: a new one twice, a known one not at all while the wallet is unlocked. */
async function givePassword(page) {
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('Repeat password').fill(PASSWORD);
}

/** Imports an account by `words` or a private `key`, the first one of this wallet, and returns its address. It is on its page then. */
export async function importAccount(page, { words, key }) {
    await visit(page, '#/import');
    if (key) await page.getByRole('radio', { name: 'Private key' }).check();
    await page.getByLabel(key ? 'Your private key' : 'Your words').fill(key ?? words);
    await page.getByRole('button', { name: 'Continue' }).click();
    await givePassword(page);
    await page.getByRole('button', { name: 'Import account' }).click();
    return addressOfView(page);
}

/** Creates an account as a person does, the first one of this wallet; resolves with its words and address. */
export async function createAccount(page, { count = 24, name } = {}) {
    await page.getByRole('link', { name: 'Create account' }).click();
    await page.getByRole('radio', { name: `${count}` }).check();
    if (name) await page.getByRole('textbox', { name: 'Name' }).fill(name);
    await page.getByRole('button', { name: 'Make the words' }).click();
    const shown = page.getByTestId('words').locator('b');
    await shown.first().waitFor(WAIT);
    const words = await shown.allInnerTexts();
    await page.getByRole('button', { name: 'I have written them down' }).click();
    const questions = page.getByRole('radiogroup', { name: /^Word \d+$/ });
    await questions.first().waitFor(WAIT);
    for (const question of await questions.all()) {
        const [, number] = (await question.locator('legend').innerText()).match(/(\d+)/);
        await question.getByRole('radio', { name: words[number - 1], exact: true }).check();
    }
    await page.getByRole('button', { name: 'Continue' }).click();
    await givePassword(page);
    await page.getByRole('button', { name: 'Create account' }).click();
    return { words, address: await addressOfView(page) };
}

/** The address of the account whose page is shown, as soon as one is. */
async function addressOfView(page) {
    await page.waitForURL(/#\/account\/NQ\w{34}$/, WAIT);
    return page.url().match(/NQ\w{34}$/)[0].match(/.{4}/g).join(' ');
}

/** The balance on an account's page. */
export const balanceOf = (page) => page.getByTestId('balance');

/** Waits until the account's page shows this balance, as `1,234.56 NIM`. */
export async function balanceIs(page, text) {
    await balanceOf(page).filter({ hasText: new RegExp(`^\\s*${text.replaceAll('.', '\\.')}\\s*$`) }).waitFor(WAIT);
}

/** Gets test NIM on an account's page, and waits until they are there: 1,000 NIM more than the nothing that was. */
export async function fund(page) {
    await page.getByRole('button', { name: 'Get test NIM' }).click();
    await balanceIs(page, '1,000 NIM');
}

/** The payments on an account's page, and those of them in one of the states. */
export const payments = (page, ...states) =>
    page.getByTestId('history').locator(states.length ? states.map((state) => `[data-hash][data-state=${state}]`).join(', ') : '[data-hash]');

export async function lock(page) {
    await page.getByRole('button', { name: 'Lock', exact: true }).click();
    await page.getByRole('button', { name: 'Unlock' }).waitFor(WAIT);
}

export async function unlock(page, password = PASSWORD) {
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Unlock' }).click();
}
