// The vault in a browser, with the real password worker and a real database: what is kept, who can open it, and what is said
// when nobody can.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { openModules } from './support.mjs';

const PASSWORD = 'correct horse';
const KEY = '01'.repeat(32);

let modules;
before(async () => (modules = await openModules()));
after(() => modules?.close());

/** A page whose wallet has one account, of words, and is unlocked. */
async function withAccount(t) {
    const page = await modules.open();
    t.after(() => page.context().close());
    page.made = await page.evaluate(async (password) => {
        const { vault, derive, loadWallet } = window.modules;
        await vault.open();
        const { Mnemonic } = await loadWallet();
        const mnemonic = Mnemonic.generate({ words: 12 });
        const words = mnemonic.words.join(' ');
        const [address] = await derive.keepDerived(mnemonic, [{ path: derive.accountPath(0), label: 'First' }], password);
        return { words, address };
    }, PASSWORD);
    return page;
}

/** Everything that is in the database, as one text in which secrets would be found. */
function everything(page) {
    return page.evaluate(async () => {
        const databases = await indexedDB.databases();
        const all = [];
        for (const { name } of databases) {
            const db = await new Promise((resolve, reject) => {
                const request = indexedDB.open(name);
                request.onsuccess = () => resolve(request.result);
                request.onerror = () => reject(request.error);
            });
            for (const store of db.objectStoreNames) {
                const request = db.transaction(store).objectStore(store).getAll();
                await new Promise((resolve) => (request.onsuccess = resolve));
                all.push(...request.result);
            }
            db.close();
        }
        const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
        const text = JSON.stringify(all, (_, value) => (value instanceof Uint8Array ? [hex(value), new TextDecoder('latin1').decode(value)] : value));
        return text + JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + location.href;
    });
}

describe('the vault', { timeout: 300_000 }, () => {
    test('keeps words and keys encrypted, and nothing of them elsewhere', async (t) => {
        const page = await withAccount(t);
        const { words, address } = page.made;
        const key = await page.evaluate(async ({ address, password }) => {
            const bytes = await window.modules.vault.exported('key', address, password);
            return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
        }, { address, password: PASSWORD });
        const kept = await everything(page);
        assert.ok(kept.includes(address), 'the address is not secret, and what is searched is what is kept');
        assert.ok(!kept.includes(key));
        assert.ok(!kept.includes(words));
        // A few of the words may be in there by chance as parts of others; three in a row are not.
        assert.ok(!kept.includes(words.split(' ').slice(3, 6).join(' ')));
        assert.ok(!kept.includes(PASSWORD));
        assert.deepEqual(page.faults, []);
    });

    test('opens for its password after a reload, and for no other', async (t) => {
        const page = await withAccount(t);
        await page.reload();
        await page.waitForFunction(() => window.modules);
        const result = await page.evaluate(async ({ address, password }) => {
            const { vault } = window.modules;
            await vault.open();
            const before = vault.status.value;
            const sign = () => window.outcome(vault.withKeyPair(address, (pair) => pair.address));
            const locked = await sign();
            const wrong = await window.outcome(vault.unlock(`${password} `));
            const still = vault.status.value;
            await vault.unlock(password);
            const open = vault.status.value;
            const signed = await sign();
            vault.lock();
            return { before, locked, wrong, still, open, signed, after: vault.status.value, again: await sign(), accounts: vault.accountRecords.value };
        }, { address: page.made.address, password: PASSWORD });
        assert.equal(result.before, 'locked');
        assert.equal(result.locked.error.code, 'locked');
        assert.equal(result.wrong.error.code, 'wrong-password');
        assert.equal(result.still, 'locked');
        assert.equal(result.open, 'unlocked');
        assert.equal(result.signed.value, page.made.address);
        assert.equal(result.after, 'locked');
        assert.equal(result.again.error.code, 'locked');
        // What is public is known while it is locked.
        assert.deepEqual(result.accounts.map(({ address, label, kind }) => [address, label, kind]), [[page.made.address, 'First', 'key']]);
    });

    test('wipes what it has lent, and frees the key pair', async (t) => {
        const page = await withAccount(t);
        const after = await page.evaluate(async (address) => {
            let kept;
            await window.modules.vault.withKeyPair(address, (pair) => (kept = pair));
            const thrown = await window.outcome(window.modules.vault.withKeyPair(address, (pair) => { kept = pair; throw new Error('mine'); }));
            return { thrown, freed: await window.outcome(Promise.resolve().then(() => kept.address)) };
        }, page.made.address);
        assert.equal(after.thrown.error.message, 'mine');
        assert.equal(after.freed.error.code, 'closed');
    });

    test('a new password replaces the old one, for everything', async (t) => {
        const page = await withAccount(t);
        const result = await page.evaluate(async ({ address, password }) => {
            const { vault, store } = window.modules;
            const before = await store.load();
            const wrong = await window.outcome(vault.changePassword('not it at all', 'a new password'));
            await vault.changePassword(password, 'a new password');
            const unlocked = vault.status.value;
            const now = await store.load();
            const old = await window.outcome(vault.exported('words', vault.accountRecords.value[0].words.id, password));
            const fresh = new TextDecoder().decode(await vault.exported('words', vault.accountRecords.value[0].words.id, 'a new password'));
            const same = now.secrets.filter((record, i) => String(record.sealed.data) === String(before.secrets[i].sealed.data)).length;
            return { wrong, unlocked, old, fresh, same, salts: String(now.vault.salt) === String(before.vault.salt), signed: await vault.withKeyPair(address, (pair) => pair.address) };
        }, { address: page.made.address, password: PASSWORD });
        assert.equal(result.wrong.error.code, 'wrong-password');
        assert.equal(result.unlocked, 'unlocked');
        assert.equal(result.old.error.code, 'wrong-password');
        assert.equal(result.fresh, page.made.words);
        assert.equal(result.same, 0);
        assert.equal(result.salts, false);
        assert.equal(result.signed, page.made.address);
    });

    test('tells a damaged record from a wrong password', async (t) => {
        const page = await withAccount(t);
        const results = await page.evaluate(async ({ address, password }) => {
            const { vault, store } = window.modules;
            const whole = await store.load();
            const results = {};
            const spoil = async (name, alter, then) => {
                const { vault: record, secrets } = structuredClone(whole);
                alter(record, Object.fromEntries(secrets.map((one) => [one.kind, one])));
                const { revision } = (await store.load()).vault;
                await store.change({ vault: record, secrets }, revision);
                vault.lock();
                await vault.open();
                results[name] = await window.outcome(then());
                await store.change({ vault: whole.vault, secrets: whole.secrets }, record.revision);
                await vault.open();
            };
            const unlock = () => vault.unlock(password);
            const use = async () => {
                await vault.unlock(password);
                await vault.withKeyPair(address, () => {});
            };
            const flip = (bytes) => (bytes[bytes.length - 1] ^= 1);
            await spoil('a bit of the check', (_, { check }) => flip(check.sealed.data), unlock);
            await spoil('a bit of the salt', (record) => flip(record.salt), unlock);
            await spoil('the parameters', (record) => (record.kdf.iterations += 1), unlock);
            await spoil('absurd parameters', (record) => (record.kdf.memory = 2 ** 40), unlock);
            await spoil('a bit of the key', (_, { key }) => flip(key.sealed.data), use);
            await spoil('a bit of its iv', (_, { key }) => flip(key.sealed.iv), use);
            // With its checksum: as somebody would who knows how.
            await spoil('another record in its place', (_, { key, words }) => Object.assign(key, { sealed: words.sealed, checksum: words.checksum }), use);
            results.whole = await window.outcome(use().then(() => 'opens'));
            return results;
        }, { address: page.made.address, password: PASSWORD });
        const { whole, ...spoilt } = results;
        for (const [name, { error }] of Object.entries(spoilt)) {
            assert.equal(error?.code, 'damaged', `${name}: ${error?.message}`);
            assert.match(error.message, /damaged/);
        }
        assert.deepEqual(whole, { value: 'opens' });
    });

    test('accounts come and go with their secrets', async (t) => {
        const page = await withAccount(t);
        const result = await page.evaluate(async ({ address, key }) => {
            const { vault, derive, store } = window.modules;
            const wordsId = vault.accountRecords.value[0].words.id;
            const second = await derive.keepNext(wordsId, 'Second');
            const single = await derive.keepKey(Uint8Array.from(key.match(/../g), (two) => parseInt(two, 16)), 'Single');
            const watched = 'NQ07 0000 0000 0000 0000 0000 0000 0000 0000';
            await vault.add([], [{ address: watched, label: 'Watched', kind: 'watch', createdAt: Date.now() + 10 }]);
            await vault.rename(watched, '<b>Watched</b>');
            const { Mnemonic } = await window.modules.loadWallet();
            const other = Mnemonic.parse('legal winner thank year wave sausage worth useful legal winner thank yellow');
            await derive.keepDerived(other, [{ path: derive.accountPath(0), label: 'Other words' }]);
            // What is there already keeps its name.
            await derive.keepDerived(other, [{ path: derive.accountPath(0), label: 'The same words' }]);
            const all = vault.accountRecords.value.map(({ address, label, kind, words }) => ({ address, label, kind, path: words?.path }));
            const kinds = async () => (await store.load()).secrets.map(({ kind }) => kind).sort();
            const before = await kinds();
            const gone = [];
            for (const one of vault.accountRecords.value) {
                await vault.forget(one.address);
                gone.push([await kinds(), vault.status.value]);
            }
            const missing = await window.outcome(vault.forget(address));
            return { all, second, single, before, gone, missing };
        }, { address: page.made.address, key: KEY });
        const byLabel = (rows) => rows.sort(([a], [b]) => (a < b ? -1 : 1));
        assert.deepEqual(
            byLabel(result.all.map(({ label, kind, path }) => [label, kind, path])),
            byLabel([
                ['First', 'key', "m/44'/242'/0'/0'"],
                ['Second', 'key', "m/44'/242'/0'/1'"],
                ['Single', 'key', undefined],
                ['<b>Watched</b>', 'watch', undefined],
                ['Other words', 'key', "m/44'/242'/0'/0'"],
            ]),
        );
        assert.equal(new Set(result.all.map(({ address }) => address)).size, 5);
        assert.deepEqual(result.before, ['check', 'key', 'key', 'key', 'key', 'words', 'words']);
        const last = result.gone.at(-1);
        assert.deepEqual(last, [[], 'empty']);
        // With the last account of some words, the words go.
        const words = result.gone.map(([kinds]) => kinds.filter((kind) => kind === 'words').length);
        assert.deepEqual([...words].sort((a, b) => b - a), words);
        assert.equal(result.missing.error.code, 'unknown');
    });

    test('other tabs follow: locks, changes, and a new password', async (t) => {
        const page = await withAccount(t);
        const other = await modules.open(page.context());
        const status = (tab) => tab.evaluate(() => window.modules.vault.status.value);
        await other.evaluate(async (password) => {
            await window.modules.vault.open();
            await window.modules.vault.unlock(password);
        }, PASSWORD);
        await page.evaluate(() => window.modules.vault.lock());
        await other.waitForFunction(() => window.modules.vault.status.value === 'locked');

        for (const tab of [page, other]) await tab.evaluate((password) => window.modules.vault.unlock(password), PASSWORD);
        await page.evaluate((address) => window.modules.vault.rename(address, 'Renamed'), page.made.address);
        await other.waitForFunction(() => window.modules.vault.accountRecords.value[0].label === 'Renamed');
        assert.equal(await status(other), 'unlocked');

        await page.evaluate((password) => window.modules.vault.changePassword(password, 'a new password'), PASSWORD);
        await other.waitForFunction(() => window.modules.vault.status.value === 'locked');
        assert.equal(await status(page), 'unlocked');
        const late = await other.evaluate((password) => window.outcome(window.modules.vault.unlock(password)), PASSWORD);
        assert.equal(late.error.code, 'wrong-password');
    });

    test('a change that another tab got ahead of is not made', async (t) => {
        const page = await withAccount(t);
        const outcome = await page.evaluate(async () => {
            const { store } = window.modules;
            const { vault, accounts } = await store.load();
            const result = await window.outcome(store.change({ accounts: [{ ...accounts[0], label: 'Too late' }] }, 'another revision'));
            return { result, label: (await store.load()).accounts[0].label, revision: vault.revision };
        });
        assert.equal(outcome.result.error.name, 'OutdatedError');
        assert.equal(outcome.label, 'First');
        assert.match(outcome.revision, /^[0-9a-f]{32}$/);
    });

    test('where nothing can be stored, it says so', async (t) => {
        const context = (await modules.open()).context();
        t.after(() => context.close());
        const page = await context.newPage();
        await page.addInitScript(() => {
            IDBFactory.prototype.open = () => {
                throw new DOMException('not here', 'SecurityError');
            };
        });
        await page.goto(context.pages()[0].url());
        await page.waitForFunction(() => window.modules);
        const result = await page.evaluate(async () => {
            const { vault } = window.modules;
            await vault.open();
            return { status: vault.status.value, why: vault.unavailable.value, adding: await window.outcome(vault.add([], [])) };
        });
        assert.equal(result.status, 'unavailable');
        assert.match(result.why, /does not let this page store anything/);
        assert.equal(result.adding.error.code, 'unavailable');
    });
});
