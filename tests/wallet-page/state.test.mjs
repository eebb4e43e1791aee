// What the wallet makes of what it knows: which rows of a history stay, what can be done with a stake, when it locks, and what
// an address of the page leads to.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { openModules } from './support.mjs';

let modules;
let page;
before(async () => {
    modules = await openModules();
    page = await modules.open();
});
after(() => modules?.close());

/** A row, in a block if there is a number. */
const row = (hash, blockNumber, more = {}) => ({ hash, blockNumber, state: blockNumber === undefined ? 'pending' : 'finalized', validityStartHeight: 100, ...more });
const hashes = (rows) => rows.map(({ hash }) => hash).join('');

describe('history', () => {
    const merged = (rows, told) => page.evaluate(([rows, told]) => window.modules.history.mergeRows(rows, told), [rows, told]);
    const reconciled = (now, fetched, all) => page.evaluate(([now, fetched, all]) => window.modules.history.reconciled(now, fetched, all), [now, fetched, all]);

    test('is in the order of the chain, the newest first, what is in no block before', async () => {
        const rows = await merged([row('a', 5), row('b', 3)], [row('c', 4), row('d'), row('e', undefined, { validityStartHeight: 101 }), row('f', 5), row('x', undefined, { state: 'expired', validityStartHeight: 4 })]);
        assert.equal(hashes(rows), 'edafcxb');
        assert.equal(hashes(await merged(rows, [])), 'edafcxb');
    });

    test('has each transaction once, as it was told last', async () => {
        const [pending] = await merged([], [row('a', undefined, { raw: '00ff' })]);
        const [included] = await merged([pending], [row('a', 7, { state: 'included' })]);
        assert.deepEqual([included.state, included.blockNumber, included.raw], ['included', 7, '00ff']);
        const rows = await merged([included], [row('a', 7)]);
        assert.equal(rows.length, 1);
        // Of no use any more.
        assert.deepEqual([rows[0].state, rows[0].raw], ['finalized', undefined]);
    });

    test('goes on from what was known, where the two fit together', async () => {
        const now = { rows: [row('c', 8), row('b', 6), row('a', 2)], complete: true };
        const next = await reconciled(now, [row('d', 9), row('c', 8), row('b', 6)], false);
        assert.equal(hashes(next.rows), 'dcba');
        assert.equal(next.complete, true);
    });

    test('forgets what was known of another chain', async () => {
        const now = { rows: [row('z'), row('y', 500), row('x', 8), row('w', 2)], complete: true };
        // All there is: the rest can't be.
        assert.equal(hashes((await reconciled(now, [row('d', 9)], true)).rows), 'zd');
        // A page that doesn't reach what was known: what is between is not known, so nothing before it is shown.
        const next = await reconciled(now, [row('d', 9), row('c', 7)], false);
        assert.equal(hashes(next.rows), 'zdc');
        assert.equal(next.complete, false);
        // The same transaction in another block is another chain, too.
        assert.equal(hashes((await reconciled({ rows: [row('c', 5), row('w', 2)], complete: true }, [row('c', 7)], false)).rows), 'c');
        // Nothing at all.
        assert.equal(hashes((await reconciled(now, [], true)).rows), 'z');
    });

    test('keeps what came while the page was fetched', async () => {
        const now = { rows: [row('n', 12, { state: 'included' }), row('c', 8)], complete: false };
        assert.equal(hashes((await reconciled(now, [row('d', 9), row('c', 8)], true)).rows), 'ndc');
    });
});

describe('stakes', () => {
    const NIM = 100_000n;
    const NETWORK = 'unit-albatross';
    /** On that network an epoch has 128 blocks. */
    const outlook = (staker, validator, head) => page.evaluate(([network, staker, validator, head]) => window.modules.staking.outlook(network, staker, validator, head), [NETWORK, staker, validator, head]);
    const staker = (active, inactive, retired, more = {}) => ({ address: 'NQ', balance: active * NIM, inactiveBalance: inactive * NIM, retiredBalance: retired * NIM, delegation: 'NQ', ...more });

    test('an active one can only be deactivated', async () => {
        assert.deepEqual(await outlook(staker(500n, 0n, 0n), {}, 1000), { deactivate: true, reactivate: false, move: false, retire: false, withdraw: false, wait: undefined });
    });

    test('an inactive one waits for the end of its epoch, and of one more', async () => {
        const inactive = staker(0n, 500n, 0n, { inactiveFrom: 1096 });
        const early = await outlook(inactive, {}, 1000);
        assert.deepEqual([early.retire, early.move, early.reactivate], [false, false, true]);
        assert.deepEqual(early.wait, { block: 1225, blocks: 225, ms: 225_000, because: 'epoch' });
        assert.equal((await outlook(inactive, {}, 1100)).wait.because, 'release');
        assert.equal((await outlook(inactive, {}, 1223)).retire, false);
        // It is then in block 1225 at the earliest.
        const due = await outlook(inactive, {}, 1224);
        assert.deepEqual([due.retire, due.move, due.wait], [true, true, undefined]);
    });

    test('a jailed validator keeps it longer', async () => {
        const { wait, retire } = await outlook(staker(0n, 500n, 0n, { inactiveFrom: 1096 }), { jailedFrom: 1050 }, 1300);
        assert.equal(retire, false);
        assert.deepEqual([wait.block, wait.because], [1050 + 8 * 128 + 1, 'jail']);
    });

    test('some of each', async () => {
        const some = await outlook(staker(100n, 200n, 300n, { inactiveFrom: 200 }), {}, 1000);
        assert.deepEqual(some, { deactivate: true, reactivate: true, move: false, retire: true, withdraw: true, wait: undefined });
        // With no validator there is nothing to wait for.
        const free = await outlook(staker(0n, 200n, 0n, { inactiveFrom: 1096, delegation: undefined }), undefined, 1000);
        assert.deepEqual([free.retire, free.move], [true, true]);
    });

    test('are nothing, or 100 NIM', async () => {
        const problem = (...amounts) => page.evaluate((amounts) => window.modules.staking.minimumProblem(...amounts), amounts.map((amount) => amount * NIM));
        assert.equal(await problem(100n, 0n, 0n), undefined);
        assert.equal(await problem(0n, 0n, 0n), undefined);
        assert.equal(await problem(50n, 50n, 0n), undefined);
        assert.match(await problem(99n, 0n, 0n), /100 NIM/);
        assert.match(await problem(50n, 0n, 100n), /100 NIM/);
        assert.match(await problem(0n, 0n, 50n), /100 NIM/);
    });
});

test('it locks by the clock, and sooner where it is hidden', async () => {
    const deadline = (...times) => page.evaluate((times) => window.modules.autoLock.deadline(...times), times);
    const minute = 60_000;
    assert.equal(await deadline(0, undefined, 10), 10 * minute);
    assert.equal(await deadline(0, 2 * minute, 10), 7 * minute);
    assert.equal(await deadline(0, 8 * minute, 10), 10 * minute);
    assert.equal(await deadline(0, 0, 1), minute);
});

test('it locks when nobody has been there for long enough', async () => {
    const own = await modules.open();
    await own.clock.install();
    await own.evaluate(async () => {
        const { vault, derive, autoLock } = window.modules;
        await vault.open();
        autoLock.watchIdleness();
        await derive.keepKey(new Uint8Array(32).fill(1), 'One', 'correct horse');
        await autoLock.setIdleMinutes(5);
    });
    const status = () => own.evaluate(() => window.modules.vault.status.value);
    await own.clock.runFor(4 * 60_000);
    await own.keyboard.press('Shift');
    await own.clock.runFor(4 * 60_000);
    assert.equal(await status(), 'unlocked');
    await own.clock.runFor(61_000);
    assert.equal(await status(), 'locked');
    await own.reload();
    await own.waitForFunction(() => window.modules);
    await own.evaluate(() => window.modules.autoLock.loadIdleMinutes());
    assert.equal(await own.evaluate(() => window.modules.autoLock.idleMinutes.value), 5);
    await own.context().close();
});

test('an address of the page leads to a view, or nowhere', async () => {
    const parse = (hash) => page.evaluate((hash) => window.modules.router.parse(hash), hash);
    const address = 'NQ07 0000 0000 0000 0000 0000 0000 0000 0000';
    const plain = address.replaceAll(' ', '');
    for (const [hash, route] of [
        ['', { view: 'home' }],
        ['#/', { view: 'home' }],
        ['#/create', { view: 'create' }],
        ['#/watch', { view: 'watch' }],
        [`#/watch/${plain}`, { view: 'watch', address }],
        [`#/account/${plain}`, { view: 'account', address }],
        [`#/account/${plain}/send`, { view: 'send', address }],
        [`#/account/${plain}/stake`, { view: 'stake', address }],
        [`#/account/${plain}/toString`, { view: 'not-found' }],
        ['#/account', { view: 'not-found' }],
        ['#/constructor', { view: 'not-found' }],
        ['#/settings/more', { view: 'not-found' }],
    ]) {
        assert.deepEqual(await parse(hash), route, hash);
    }
});
