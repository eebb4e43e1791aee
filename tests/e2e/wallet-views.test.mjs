// Each view of the wallet, on a phone and on a desktop, light and dark: nothing that axe finds, nothing wider than the
// screen, and pictures for people to look at.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { root } from '../../scripts/lib/env.mjs';
import { SCREENS, WAIT, assertFits, fund, importAccount, inSync, lock, payments, shoot, visit, walletStage } from './wallet-harness.mjs';

const AXE = readFileSync(join(root, 'node_modules', 'axe-core', 'axe.min.js'), 'utf8');
/** All rules of WCAG 2.2 AA, and what axe thinks is good practice beyond. */
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** What axe finds on the page as it is now, a line each. */
async function violations(page) {
    await page.evaluate(AXE);
    return page.evaluate(async (values) => {
        const { violations } = await window.axe.run(document, { runOnly: { type: 'tag', values }, resultTypes: ['violations'] });
        return violations.flatMap(({ id, help, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target.join(' ')}: ${failureSummary}`));
    }, RULES);
}

/** Nothing on the page is on its way from one colour or place to another; what turns for good, such as a spinner, may. */
async function settled(page) {
    await page.evaluate(async () => {
        const frame = () => new Promise((done) => requestAnimationFrame(done));
        await frame();
        const moving = () => document.getAnimations().filter(({ playState, effect }) => playState === 'running' && effect.getComputedTiming().endTime !== Infinity);
        while (moving().length) await frame();
        await frame();
    });
}

describe('the views of the wallet', () => {
    const shared = walletStage();

    for (const [screen, options] of Object.entries(SCREENS)) {
        test(`on a ${screen}`, async (t) => {
            const page = await shared.open(t, options);
            const found = [];
            const look = async (name) => {
                for (const colorScheme of ['light', 'dark']) {
                    await page.emulateMedia({ colorScheme });
                    await settled(page);
                    found.push(...(await violations(page)).map((line) => `${name}, ${colorScheme}: ${line}`));
                    await shoot(page, `wallet-${name}-${screen}-${colorScheme}`, { fullPage: true });
                }
                await assertFits(page, name);
            };
            const lookAt = async (hash, name) => {
                await visit(page, hash);
                await look(name);
            };

            await page.getByText('Create account').first().waitFor(WAIT);
            await look('welcome');
            await lookAt('#/create', 'create');
            await lookAt('#/import', 'import');
            await lookAt('#/watch', 'watch');
            await lookAt('#/nowhere', 'not-found');

            const address = await importAccount(page, { key: randomBytes(32).toString('hex') });
            await inSync(page, { trust: 'verified' });
            await fund(page);
            await look('account');
            const path = `#/account/${address.replaceAll(' ', '')}`;
            await lookAt(`${path}/receive`, 'receive');
            await lookAt(`${path}/stake`, 'stake');
            await lookAt('#/settings', 'settings');
            await lookAt('#/', 'home');
            await lookAt('#/network', 'network');
            await lookAt(`${path}/send`, 'send');

            // What is wrong is said, and that is to be read, too.
            await page.getByLabel('Recipient').fill('NQ00 NONSENSE');
            await page.getByRole('button', { name: 'Continue' }).click();
            await look('send-wrong');
            await page.getByLabel('Recipient').fill(shared.net.funded.address);
            await page.getByLabel('Amount').fill('1');
            await page.getByRole('button', { name: 'Continue' }).click();
            await page.getByRole('heading', { name: 'Confirm payment' }).waitFor(WAIT);
            await look('confirm');
            await page.getByRole('button', { name: 'Send now' }).click();
            await page.locator('[data-step=included], [data-step=finalized]').waitFor(WAIT);
            await look('sending');
            await visit(page, path);
            await payments(page).first().getByRole('button').click();
            await page.getByRole('dialog').waitFor(WAIT);
            await look('payment');
            await page.keyboard.press('Escape');

            await visit(page, '#/');
            await lock(page);
            await look('unlock');
            assert.equal(found.join('\n'), '');
            assert.deepEqual(page.faults, []);
        });
    }
});
