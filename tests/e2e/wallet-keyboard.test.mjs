// The wallet without a mouse and without eyes: everything can be reached and done by keys, in an order that makes sense, and
// what happens is announced.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';

import { PASSWORD, WAIT, balanceIs, inSync, payments, walletStage } from './wallet-harness.mjs';

/** More stops than any view has. */
const MOST_STOPS = 80;

describe('the wallet by keys alone', () => {
    const shared = walletStage({ proofs: 'fixture', blockTime: 500 });

    test('from nothing to a payment, and locked', async (t) => {
        const page = await shared.open(t);
        const keys = by(page);
        await page.getByRole('link', { name: 'Import account' }).waitFor(WAIT);
        await page.keyboard.press('Tab');
        assert.equal(await focused(page, 'text'), 'Skip to the content');
        await page.keyboard.press('Enter');
        assert.equal(await focused(page, 'id'), 'main');

        await keys.press('link', 'Import account');
        await heading(page, 'Import an account');
        await keys.to(page.getByRole('radio', { name: 'Words' }));
        await page.keyboard.press('ArrowRight');
        await keys.fill('Your private key', randomBytes(32).toString('hex'));
        await page.keyboard.press('Enter');
        await page.getByLabel('Repeat password').waitFor(WAIT);
        await keys.fill('Password', PASSWORD);
        await keys.fill('Repeat password', PASSWORD);
        await keys.press('button', 'Import account');
        await page.waitForURL(/#\/account\//, WAIT);
        await inSync(page);

        await keys.press('button', 'Get test NIM');
        await balanceIs(page, '1,000 NIM');
        await keys.press('link', 'Send');
        await heading(page, 'Send');
        // Whoever sends begins with whom to.
        await page.getByLabel('Recipient').and(page.locator(':focus')).waitFor(WAIT);

        // What is wrong is tied to its field, for those who hear the page.
        await keys.press('button', 'Continue');
        const described = await page.getByLabel('Recipient').evaluate((field) =>
            (field.getAttribute('aria-describedby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join(' '),
        );
        assert.match(described, /\w+ \w+/);
        assert.equal(await page.getByLabel('Recipient').getAttribute('aria-invalid'), 'true');
        await keys.fill('Recipient', shared.net.funded.address);
        await keys.fill('Amount', '12.5');
        await keys.to(page.getByRole('radio', { name: 'Standard' }));
        await page.keyboard.press('ArrowLeft');
        assert.equal(await page.getByRole('radio', { name: 'Free' }).isChecked(), true);
        await keys.press('button', 'Continue');
        // It is read from its heading on, not from where the form was left.
        await heading(page, 'Confirm payment');
        await keys.press('button', 'Send now');
        await page.locator('[data-step=included], [data-step=finalized]').waitFor(WAIT);
        await page.getByRole('status').filter({ hasText: /in a block|final/ }).first().waitFor(WAIT);
        await keys.press('link', 'To the account');
        await balanceIs(page, '987.5 NIM');

        // A dialog keeps the focus in itself, and gives it back.
        const row = payments(page).first().getByRole('button');
        await keys.to(row);
        await page.keyboard.press('Enter');
        await page.getByRole('dialog').waitFor(WAIT);
        for (let i = 0; i < 8; i++) {
            const outside = await page.evaluate(() => (document.activeElement.matches('body, dialog, dialog *') ? '' : document.activeElement.outerHTML));
            assert.equal(outside, '');
            await page.keyboard.press('Tab');
        }
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'hidden', ...WAIT });
        assert.ok(await row.evaluate((row) => row === document.activeElement));

        await keys.press('button', 'Lock');
        await page.getByLabel('Password', { exact: true }).and(page.locator(':focus')).waitFor(WAIT);
        await page.keyboard.type(PASSWORD);
        await page.keyboard.press('Enter');
        await balanceIs(page, '987.5 NIM');
        assert.deepEqual(page.faults, []);
    });

    test('nobody is trapped, and where the focus is can be seen', async (t) => {
        const page = await shared.open(t);
        await inSync(page);
        for (const hash of ['#/', '#/create', '#/import', '#/network', '#/settings']) {
            await page.evaluate((hash) => (location.hash = hash), hash);
            await page.getByRole('heading', { level: 1 }).waitFor(WAIT);
            const stops = [];
            let round = 0;
            // From wherever the focus is to the end of the page, then once round it.
            for (let i = 0; i < 2 * MOST_STOPS && round < 2; i++) {
                await page.keyboard.press('Tab');
                const stop = await page.evaluate(() => {
                    const at = document.activeElement;
                    if (!at || at === document.body) return null;
                    // What is drawn round a hidden radio button is drawn round its label.
                    const shown = [at, at.closest('label'), at.parentElement].filter(Boolean).map((element) => getComputedStyle(element));
                    const visible = shown.some(({ outlineStyle, boxShadow }) => outlineStyle !== 'none' || boxShadow !== 'none');
                    return { name: at.outerHTML.slice(0, 120), visible };
                });
                if (!stop) round += 1;
                else if (round === 1) stops.push(stop);
            }
            assert.equal(round, 2, `${hash}: there is a way on from each stop`);
            assert.ok(stops.length >= 5, `${hash}: ${stops.length} stops`);
            assert.deepEqual(stops.filter(({ visible }) => !visible), [], hash);
        }
        assert.deepEqual(page.faults, []);
    });
});

/** Waits for a view, and that it is where a reader of the page is taken to. */
async function heading(page, name) {
    const at = page.getByRole('heading', { level: 1, name });
    await at.waitFor(WAIT);
    // Either the heading has the focus, or a field of the view that asked for it.
    await page.waitForFunction(() => document.activeElement?.closest('.page') !== null && document.activeElement !== document.body, undefined, WAIT);
}

const focused = (page, what) => page.evaluate((what) => (what === 'id' ? document.activeElement.id : document.activeElement.textContent.trim()), what);

/** What fingers on a keyboard can do. */
function by(page) {
    /** Tabs on, round the page if need be, until there. */
    const to = async (target) => {
        await target.first().waitFor(WAIT);
        for (let i = 0; i < 2 * MOST_STOPS; i++) {
            if (await target.first().evaluate((element) => element === document.activeElement)) return;
            await page.keyboard.press('Tab');
        }
        assert.fail(`no way by keys to ${target}`);
    };
    return {
        to,
        press: async (role, name) => {
            await to(page.getByRole(role, { name, exact: true }));
            await page.keyboard.press('Enter');
        },
        fill: async (label, text) => {
            await to(page.getByLabel(label, { exact: true }));
            await page.keyboard.press('ControlOrMeta+a');
            await page.keyboard.type(text);
        },
    };
}
