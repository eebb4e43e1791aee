// A life of the wallet, as one person has it: an account is created, gets money, pays, stakes, is left and come back to,
// without a network, and next to a peer that lies. Each step goes on where the one before it ended.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { loadWallet } from '../wallet/support.mjs';
import { assertBecameFinal, browserAndServer, createClient, is, liveHeads, openBlank } from './harness.mjs';
import { PASSWORD, WAIT, balanceIs, balanceOf, createAccount, fund, importAccount, inSync, lock, openIn, payments, shoot, unlock, visit, walletStage } from './wallet-harness.mjs';

/** An account of nobody's, to pay to. */
const SOMEONE = 'NQ07 0000 0000 0000 0000 0000 0000 0000 0000';
/** What the story pays: 250.5 NIM, and the fee for the bytes of it at two Luna each, of which a message makes some more. */
const PAID = '250.5';
const MESSAGE = 'For the lamp <b>& the oil</b>, 50 % ☂';

describe('the story of a wallet', () => {
    // A block every half a second: a batch, after which payments are final, takes a quarter of a minute.
    const shared = walletStage({ proofs: 'fixture', blockTime: 500 });
    let context;
    let page;
    let account;
    /** A client of the tests' own, to ask what is so. */
    let asker;
    /** The hashes of all payments of the story, once they are made. */
    let history;
    let failed = false;
    before(async () => {
        context = await shared.browser.newContext({ viewport: { width: 1280, height: 900 }, permissions: ['clipboard-read', 'clipboard-write'] });
        shared.suite.after(() => context.close());
        page = await openIn(context, shared);
        const own = await browserAndServer(shared.suite);
        asker = await createClient(await openBlank(shared.suite, own), { network: shared.net.network, peers: shared.net.addresses });
        await asker.until(is('consensus', { state: 'established' }), 'consensus');
    });

    /** A step of the story; one that is left undone leaves nothing for the next to stand on. */
    const step = (name, work) =>
        test(name, async (t) => {
            if (failed) return t.skip('a step before this one failed');
            failed = true;
            try {
                await work(t);
                assert.deepEqual(page.faults, []);
                failed = false;
            } finally {
                if (failed) await shoot(page, 'story-failed', { fullPage: true });
            }
        });
    /** The account's balance, and the text that the page shows of it, once that is what the chain says. */
    const settledBalance = async () => {
        const deadline = Date.now() + WAIT.timeout;
        for (;;) {
            // The tests' own client may be a block behind the page.
            await liveHeads(asker, 2);
            const { balance } = await asker.ask('getAccount', account.address);
            const text = `${(Number(balance) / 1e5).toLocaleString('en', { maximumFractionDigits: 5 })} NIM`;
            const shown = (await balanceOf(page).innerText()).trim();
            if (shown === text) return { balance, text };
            assert.ok(Date.now() < deadline, `${shown} is shown, and not ${text}`);
        }
    };
    const path = (of = '') => `#/account/${account.address.replaceAll(' ', '')}${of}`;

    step('create: words are made, asked for, and kept under a password', async () => {
        await page.getByRole('link', { name: 'Create account' }).waitFor(WAIT);
        await shoot(page, 'story-1-welcome');
        account = await createAccount(page, { count: 24, name: 'Savings' });
        assert.equal(account.words.length, 24);
        await page.getByText('Savings').first().waitFor(WAIT);
        await balanceIs(page, '0 NIM');
        await shoot(page, 'story-2-created');
    });

    step('fund: money comes, and its payment becomes final before one’s eyes', async () => {
        await inSync(page, { trust: 'verified' });
        const states = await follow(page, '[data-testid=history] [data-hash]', 'state');
        await fund(page);
        await shoot(page, 'story-3-funded');
        await payments(page, 'finalized').waitFor(WAIT);
        assertBecameFinal(await states());
        assert.equal(await payments(page).count(), 1);
    });

    step('receive: the address as text, as a code, and in the clipboard', async () => {
        await page.getByRole('link', { name: 'Receive' }).click();
        await page.getByRole('img', { name: /QR/ }).waitFor(WAIT);
        await page.getByRole('button', { name: 'Copy address' }).first().click();
        assert.equal(await page.evaluate(() => navigator.clipboard.readText()), account.address);
        const shown = await page.getByRole('main').innerText();
        assert.ok(shown.replace(/\s+/g, ' ').includes(account.address), shown);
        await shoot(page, 'story-4-receive');
    });

    step('send: what is wrong is said, what is right is asked for once more, then sent', async () => {
        await visit(page, path('/send'));
        const recipient = page.getByLabel('Recipient');
        const amount = page.getByLabel('Amount');
        const next = page.getByRole('button', { name: 'Continue' });
        await next.click();
        assert.equal(await recipient.getAttribute('aria-invalid'), 'true');

        // One digit is wrong: its check digits say so.
        await recipient.fill(SOMEONE.replace('NQ07', 'NQ08'));
        await next.click();
        assert.equal(await recipient.getAttribute('aria-invalid'), 'true');
        await recipient.fill(SOMEONE);
        assert.equal(await recipient.getAttribute('aria-invalid'), null);
        for (const wrong of ['1000.00001', '0', '-5', '1.000001', '1,5', 'much']) {
            await amount.fill(wrong);
            await next.click();
            assert.equal(await amount.getAttribute('aria-invalid'), 'true', wrong);
        }
        await page.getByRole('radio', { name: /Free/ }).check();
        await page.getByRole('button', { name: 'Max' }).click();
        assert.equal(await amount.inputValue(), '1000');
        // All of it and a fee is more than there is.
        await page.getByRole('radio', { name: /Express/ }).check();
        await next.click();
        assert.equal(await amount.getAttribute('aria-invalid'), 'true');

        await amount.fill(PAID);
        await page.getByLabel('Message').fill(MESSAGE);
        await shoot(page, 'story-5-send');
        await next.click();
        await page.getByRole('heading', { name: 'Confirm payment' }).waitFor(WAIT);
        for (const said of ['250.5 NIM', MESSAGE]) await page.getByText(said).first().waitFor(WAIT);
        await shoot(page, 'story-6-confirm');
        const steps = await follow(page, '[data-step]', 'step');
        await page.getByRole('button', { name: 'Send now' }).click();
        await page.locator('[data-step=included], [data-step=finalized]').waitFor(WAIT);
        await shoot(page, 'story-7-sent');
        await page.locator('[data-step=finalized]').waitFor(WAIT);
        assertBecameFinal((await steps()).filter((step) => !['signing', 'sending'].includes(step)));
        await page.getByRole('link', { name: 'To the account' }).click();
        await payments(page, 'finalized').nth(1).waitFor(WAIT);
    });

    step('history: each payment once, with its message, and the balance is what is left', async () => {
        assert.equal(await payments(page).count(), 2);
        await page.getByText(MESSAGE).waitFor(WAIT);
        const { balance } = await settledBalance();
        // 1,000 less what was paid, less the fee: more than a Luna a byte for at least 138 bytes.
        assert.ok(balance < 74_950_000n - 138n && balance > 74_900_000n, `${balance}`);
    });

    step('stake: with a validator, and the first step to have some of it back', async () => {
        const confirm = async () => {
            await page.getByRole('button', { name: 'Confirm' }).click();
            await page.locator('[data-step=included], [data-step=finalized]').waitFor(WAIT);
            await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click();
        };
        await visit(page, path('/stake'));
        await page.getByRole('radio').first().check();
        await page.getByLabel('Amount').fill('200');
        await shoot(page, 'story-8-stake');
        await page.getByRole('button', { name: 'Stake', exact: true }).click();
        await confirm();
        await page.getByTestId('stake').filter({ hasText: '200 NIM' }).waitFor(WAIT);
        const unstake = page.getByRole('region', { name: 'Unstake' });
        await unstake.getByLabel('Amount').fill('100');
        await unstake.getByRole('button', { name: 'Deactivate' }).click();
        await confirm();
        await page.getByTestId('stake-wait').waitFor(WAIT);
        await shoot(page, 'story-9-staked', { fullPage: true });
    });

    step('reload: locked, and with the password everything is there again', async () => {
        await visit(page, path());
        const { text: before } = await settledBalance();
        const hashes = await hashesOf(page);
        await page.reload();
        await page.getByRole('button', { name: 'Unlock' }).waitFor(WAIT);
        assert.equal(await balanceOf(page).count(), 0);
        await shoot(page, 'story-10-locked');
        await unlock(page, 'not the password');
        await page.getByText(/wrong|not right|not the password/i).first().waitFor(WAIT);
        await unlock(page);
        await balanceIs(page, before);
        await payments(page).nth(hashes.length - 1).waitFor(WAIT);
        assert.deepEqual(await hashesOf(page), hashes);
        history = hashes;
    });

    step('export: the words and the key, for who knows the password, and gone with the dialog', async () => {
        await visit(page, '#/settings');
        const dialog = page.getByRole('dialog');
        await page.getByRole('button', { name: 'Show words: Savings' }).click();
        await dialog.getByLabel('Password').fill('not the password');
        await dialog.getByRole('button', { name: 'Show', exact: true }).click();
        await dialog.locator('[aria-invalid=true]').waitFor(WAIT);
        await dialog.getByLabel('Password').fill(PASSWORD);
        await dialog.getByRole('button', { name: 'Show', exact: true }).click();
        await dialog.getByTestId('words').waitFor(WAIT);
        assert.deepEqual(await dialog.getByTestId('words').locator('b').allInnerTexts(), account.words);
        await page.keyboard.press('Escape');
        await dialog.waitFor({ state: 'hidden', ...WAIT });

        await page.getByRole('button', { name: 'Show private key: Savings' }).click();
        await dialog.getByLabel('Password').fill(PASSWORD);
        await dialog.getByRole('button', { name: 'Show', exact: true }).click();
        const key = (await dialog.getByTestId('private-key').innerText()).trim();
        const { wallet } = await loadWallet();
        assert.equal(wallet.KeyPair.fromPrivateKey(key).address, account.address);
        await page.keyboard.press('Escape');
        await dialog.waitFor({ state: 'hidden', ...WAIT });
        assert.ok(!(await page.content()).includes(key));
        assert.equal(await page.getByTestId('words').count(), 0);
    });

    step('lock: only the network is to be seen', async () => {
        await lock(page);
        for (const hash of ['#/', path(), path('/send'), '#/settings', '#/create']) {
            await visit(page, hash);
            await page.getByRole('button', { name: 'Unlock' }).waitFor(WAIT);
            assert.ok(!(await page.getByRole('main').innerText()).includes(account.address.slice(-4)), hash);
        }
        await visit(page, '#/network');
        await page.getByTestId('peers').waitFor(WAIT);
        await visit(page, path());
        await unlock(page);
        await balanceOf(page).waitFor(WAIT);
    });

    step('offline: it opens with what it knew, and says as of when', async (t) => {
        await page.waitForFunction(() => navigator.serviceWorker.controller !== null, undefined, WAIT);
        const before = (await balanceOf(page).innerText()).trim();
        await context.setOffline(true);
        await shared.net.stopNodes();
        t.after(() => shared.net.startNodes());
        await page.reload();
        await unlock(page);
        await balanceIs(page, before);
        await payments(page).nth(history.length - 1).waitFor(WAIT);
        assert.deepEqual(await hashesOf(page), history);
        await page.getByText('Offline', { exact: true }).first().waitFor(WAIT);
        await page.getByText('Last known').first().waitFor(WAIT);
        await shoot(page, 'story-11-offline');

        await shared.net.startNodes();
        await context.setOffline(false);
        await inSync(page);
        await page.getByText('Last known').first().waitFor({ state: 'hidden', ...WAIT });
    });

    step('adversary: a lie is believed, found out, and left behind', async () => {
        await visit(page, '#/network');
        const from = page.feed.events.length;
        const since = (test, what) => page.feed.until((event) => page.feed.events.indexOf(event) >= from && test(event), what);
        const started = page.waitForResponse((response) => response.url().endsWith('/devnet/liar'), WAIT);
        await page.getByRole('button', { name: 'Turn on the liar' }).click();
        const { peerId: liar } = await (await started).json();
        const { reason } = await since(is('fallback'), 'fallback');
        assert.ok(reason);
        await shoot(page, 'story-12-fallback', { fullPage: true });
        await since(is('macro-sync', { outcome: 'conflicting', peerId: liar }), 'the liar being found out');
        await since(is('trust', { level: 'verified' }), 'proof');
        await since(is('peer-left', { peerId: liar, reason: 'banned' }), 'the ban');
        await inSync(page, { trust: 'verified' });
        await page.getByTestId('peers').locator(`[data-peer="${liar}"][data-outcome=conflicting]`).waitFor(WAIT);
        await shoot(page, 'story-13-recovered', { fullPage: true });

        await page.getByRole('button', { name: 'Back to the honest network' }).click();
        await page.getByRole('button', { name: 'Turn on the liar' }).waitFor(WAIT);
        await inSync(page, { trust: 'verified' });
        assert.equal(await page.getByTestId('peers').locator(`[data-peer="${liar}"]`).count(), 0);
    });

    step('elsewhere: the words bring the account back, and its history streams in', async (t) => {
        const other = await shared.browser.newContext();
        t.after(() => other.close());
        const there = await openIn(other, shared);
        await inSync(there);
        assert.equal(await importAccount(there, { words: account.words.join(' ') }), account.address);
        await payments(there, 'finalized').nth(history.length - 1).waitFor(WAIT);
        assert.deepEqual((await hashesOf(there)).sort(), history.toSorted());
        await visit(page, path());
        await payments(page).nth(history.length - 1).waitFor(WAIT);
        assert.deepEqual((await hashesOf(page)).sort(), history.toSorted());
        assert.deepEqual(there.faults, []);
    });
});

/** Collects what the page shows from now on in a data attribute of the one element that fits, each value once in a row. */
async function follow(page, selector, attribute) {
    await page.evaluate(([selector, attribute]) => {
        const seen = (window.seen = []);
        const look = () => {
            const value = document.querySelector(selector)?.dataset[attribute];
            if (value !== undefined && seen.at(-1) !== value) seen.push(value);
        };
        window.observer?.disconnect();
        window.observer = new MutationObserver(look);
        window.observer.observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: [`data-${attribute}`] });
    }, [selector, attribute]);
    return () => page.evaluate(() => window.seen);
}

const hashesOf = (page) => payments(page).evaluateAll((rows) => rows.map((row) => row.dataset.hash));
