// What must never get out of the wallet, and what must never get into it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { loadWallet } from '../wallet/support.mjs';
import { PASSWORD, WAIT, balanceIs, fund, importAccount, inSync, lock, payments, unlock, visit, walletStage } from './wallet-harness.mjs';

/** Runs in the page: all that it has kept, each piece as text, and bytes as hex. */
async function keptByPage() {
    const pieces = [];
    const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    const add = (value) => {
        if (value instanceof ArrayBuffer) pieces.push(hex(new Uint8Array(value)));
        else if (ArrayBuffer.isView(value)) pieces.push(hex(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)));
        else if (value instanceof CryptoKey) pieces.push(`a key, extractable: ${value.extractable}`);
        else if (Array.isArray(value) && value.every((item) => Number.isInteger(item) && item >= 0 && item < 256)) pieces.push(hex(value));
        else if (value instanceof Map || value instanceof Set) [...value].forEach(add);
        else if (typeof value === 'object' && value !== null) Object.entries(value).forEach(([key, inner]) => (add(key), add(inner)));
        else pieces.push(String(value));
    };
    const done = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }));
    for (const { name } of await indexedDB.databases()) {
        const database = await done(indexedDB.open(name));
        for (const store of database.objectStoreNames) {
            const access = database.transaction(store).objectStore(store);
            add(await done(access.getAllKeys()));
            add(await done(access.getAll()));
        }
        database.close();
    }
    for (const storage of [localStorage, sessionStorage]) add({ ...storage });
    pieces.push(document.cookie, location.href, JSON.stringify(history.state), document.title);
    for (const name of await caches.keys()) {
        const cache = await caches.open(name);
        for (const request of await cache.keys()) {
            pieces.push(request.url);
            const type = (await cache.match(request)).headers.get('content-type');
            if (!/wasm|image/.test(type)) pieces.push(await (await cache.match(request)).text());
        }
    }
    return pieces;
}

describe('the wallet keeps its secrets', () => {
    const shared = walletStage({ proofs: 'fixture', blockTime: 500 });

    test('nothing secret is stored unencrypted, logged, sent or put into an address', async (t) => {
        const { wallet } = await loadWallet();
        const mnemonic = wallet.Mnemonic.generate();
        const { words } = mnemonic;
        const key = wallet.KeyPair.fromMnemonic(mnemonic).privateKey();
        const single = wallet.KeyPair.generate().privateKey();
        const secrets = {
            'three of the words': words.slice(0, 22).map((_, i) => words.slice(i, i + 3).join(' ')),
            'the words, as a list': words.slice(0, 22).map((_, i) => JSON.stringify(words.slice(i, i + 3)).slice(1, -1)),
            'the password': [PASSWORD],
            'the seed': variants(mnemonic.toSeed()),
            'the key of the words': variants(key),
            'the key by itself': variants(single),
        };

        const page = await shared.open(t);
        const out = [];
        page.context().on('request', (request) => out.push(request.url(), request.postData() ?? '', JSON.stringify(request.headers())));
        page.on('framenavigated', (frame) => out.push(frame.url()));
        page.on('websocket', (socket) => {
            out.push(socket.url());
            socket.on('framesent', ({ payload }) => out.push(Buffer.from(payload).toString('hex')));
        });
        const address = await importAccount(page, { words: words.join(' ') });
        await inSync(page);
        await fund(page);
        await pay(page, address, shared.net.funded.address, { amount: '1', message: 'hello' });
        const kept = [await page.evaluate(keptByPage)];
        // A second one, by its key, while it is unlocked; then what is left when it is locked, and after a failed try.
        await visit(page, '#/import');
        await page.getByRole('radio', { name: 'Private key' }).check();
        await page.getByLabel('Your private key').fill(Buffer.from(single).toString('hex'));
        await page.getByRole('button', { name: 'Continue' }).click();
        await page.getByRole('button', { name: 'Import account' }).click();
        await page.waitForURL(/#\/account\//, WAIT);
        await visit(page, '#/');
        await lock(page);
        kept.push(await page.evaluate(keptByPage));
        await unlock(page, `${PASSWORD}!`);
        await page.getByLabel('Password', { exact: true }).and(page.locator('[aria-invalid=true]')).waitFor(WAIT);
        kept.push(await page.evaluate(keptByPage));

        // What is looked for would be found: the addresses are there, and the bytes that were sealed are not.
        assert.ok(kept[0].some((piece) => piece.includes(address)));
        assert.ok(kept.flat().length > 100 && out.length > 20 && page.feed.events.length > 10);
        const places = { 'what is kept': kept.flat(), 'what was sent': out, 'the console': page.said, 'the events': page.feed.events.map((event) => JSON.stringify(event)), 'the page': [await page.content()] };
        for (const [place, pieces] of Object.entries(places)) {
            for (const piece of pieces) {
                const lower = piece.toLowerCase();
                assert.ok(!piece.includes('extractable: true'), `a key that can be read is in ${place}`);
                for (const [what, needles] of Object.entries(secrets)) {
                    for (const needle of needles) {
                        const text = needle.toLowerCase();
                        assert.ok(!lower.includes(text) && !lower.includes(Buffer.from(needle).toString('hex')), `${what} is in ${place}: ${piece.slice(0, 200)}`);
                    }
                }
            }
        }
        assert.deepEqual(page.faults, []);
    });

    test('it locks itself when nobody is there, and not while somebody is', async (t) => {
        const page = await shared.open(t);
        await page.clock.install();
        await page.reload();
        const address = await importAccount(page, { key: shared.net.funded.privateKey });
        const end = address.slice(-4);
        await page.clock.fastForward('09:30');
        await page.keyboard.press('Shift');
        await page.clock.fastForward('09:30');
        assert.ok((await page.getByRole('main').innerText()).includes(end));
        await page.clock.fastForward('00:31');
        await page.getByRole('button', { name: 'Unlock' }).waitFor(WAIT);
        assert.ok(!(await page.getByRole('main').innerText()).includes(end));
        assert.deepEqual(page.faults, []);
    });

    test('text from the chain and from people stays text', async (t) => {
        const evil = `<img src=x onerror="window.pwned=1"><script>window.pwned=2</script><b>bold</b>`;
        const message = `"><svg onload=window.pwned=3>{{7*7}}`;
        const { wallet } = await loadWallet();
        const watched = wallet.KeyPair.generate().address;

        const page = await shared.open(t);
        const payer = await importAccount(page, { key: shared.net.funded.privateKey });
        await visit(page, '#/watch');
        await page.getByLabel('Address').fill(watched);
        await page.getByRole('textbox', { name: 'Name' }).fill(evil.slice(0, 40));
        await page.getByRole('button', { name: 'Watch address' }).click();
        await page.waitForURL(/#\/account\//, WAIT);
        await inSync(page);
        await pay(page, payer, watched, { amount: '2', message });
        await visit(page, `#/account/${watched.replaceAll(' ', '')}`);
        await balanceIs(page, '2 NIM');
        // It is read from the peers again, as any account's history is.
        await page.reload();
        await unlock(page);
        await payments(page, 'included', 'finalized').first().waitFor(WAIT);
        await page.getByText(message).first().waitFor(WAIT);
        await page.getByText(evil.slice(0, 40)).first().waitFor(WAIT);
        for (const hash of ['#/', '#/network', '#/settings', `#/account/${encodeURIComponent(evil)}`, `#/${evil}`]) {
            await visit(page, hash);
            const state = await page.evaluate(() => [window.pwned, document.querySelectorAll('img[src=x], svg[onload], body script, [onerror]').length]);
            assert.deepEqual(state, [undefined, 0], hash);
        }
        assert.deepEqual(page.faults, []);
    });

    test('the page has nothing inline, and may load nothing from elsewhere', async (t) => {
        const page = await shared.open(t);
        const response = await page.request.get(shared.server.url);
        const html = await response.text();
        assert.doesNotMatch(html, /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:/i);
        assert.doesNotMatch(html, /(?:src|href)=["']?(?:https?:)?\/\//i);
        const policy = Object.fromEntries(response.headers()['content-security-policy'].split('; ').map((line) => [line.split(' ')[0], line.split(' ').slice(1).join(' ')]));
        assert.equal(policy['default-src'], "'none'");
        assert.equal(policy['script-src'], "'self' 'wasm-unsafe-eval'");
        assert.equal(policy['style-src'], "'self'");
        // It holds: a script that got in all the same doesn't run, and the page notices.
        await page.evaluate(() => {
            const script = document.createElement('script');
            script.textContent = 'window.pwned = 4';
            document.body.append(script);
        });
        assert.equal(await page.evaluate(() => window.pwned), undefined);
        await assertEventually(() => page.faults.some((fault) => fault.includes('script-src')), page);
    });
});

/** Waits for what the page reports by itself. */
async function assertEventually(test, page) {
    while (!test()) await page.evaluate(() => new Promise((done) => requestAnimationFrame(done)));
}

/** The forms in which bytes could be written down. */
function variants(bytes) {
    const buffer = Buffer.from(bytes);
    return [buffer.toString('hex'), buffer.toString('base64'), buffer.toString('base64url'), [...buffer].join(',')];
}

/** Pays from one of the wallet's accounts, and waits until it is in a block. */
async function pay(page, from, recipient, { amount, message }) {
    await visit(page, `#/account/${from.replaceAll(' ', '')}/send`);
    await page.getByLabel('Recipient').fill(recipient);
    await page.getByLabel('Amount').fill(amount);
    await page.getByLabel('Message').fill(message);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Send now' }).click();
    await visit(page, `#/account/${from.replaceAll(' ', '')}`);
    await payments(page, 'included', 'finalized').filter({ hasText: message }).first().waitFor(WAIT);
}
