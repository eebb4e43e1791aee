// The life of a payment, in a page: an account is made, gets coins, sends some on, and finds all of it again. A suite
// for each way to the nodes.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { PATIENCE_MS, assertBecameFinal, createClient, openBlank, stage } from './harness.mjs';

const NIM = 100_000n;

/** Runs in the page: what the tests need of wallet and client, as `window.wallet` and `window.tools`. */
async function prepare(funded) {
    const wallet = await import('/dist/wallet.js');
    window.wallet = wallet;
    window.funded = wallet.KeyPair.fromPrivateKey(funded);
    window.tools = {
        /** Everything that an iterator yields, as it comes. */
        collect(iterator) {
            const seen = [];
            const ended = (async () => {
                try {
                    for await (const transaction of iterator) {
                        seen.push(transaction);
                        for (const look of [...looking]) look();
                    }
                    return undefined;
                } catch (error) {
                    return window.pico.plain(error);
                }
            })();
            const looking = new Set();
            const until = (test) =>
                new Promise((resolve) => {
                    const look = () => {
                        if (!test(seen)) return;
                        looking.delete(look);
                        resolve();
                    };
                    looking.add(look);
                    look();
                });
            return { seen, ended, until, leave: () => iterator.return() };
        },
        async all(iterator) {
            const all = [];
            for await (const item of iterator) all.push(item);
            return all;
        },
        /** A signed payment, valid from the client's head on. */
        pay(client, keyPair, recipient, value, more = {}) {
            const { blockNumber } = client.state.head;
            return wallet.TransactionBuilder.basic({ keyPair, recipient, value, validityStartHeight: blockNumber, network: 'unit-albatross', ...more });
        },
    };
}

export const payments = (way) => describe(`payments, ${way.name}`, { timeout: 800_000 }, () => {
    const shared = stage({ epochs: 1 }, way);
    const options = () => ({ network: shared.net.network, ...shared.reached.options });
    /** A page with the wallet, and so many clients that are ready: `window.pico.clients`. */
    const openWallet = async (t, clients = 1) => {
        const page = await openBlank(t, shared);
        await page.evaluate(prepare, shared.net.funded.privateKey);
        for (let i = 0; i < clients; i += 1) {
            const client = await createClient(page, options());
            assert.equal((await client.call('ready', { timeoutMs: 60_000 })).error, undefined);
        }
        return page;
    };

    test('from a new account to a final payment, and all of it found again', async (t) => {
        const page = await openWallet(t);
        const story = await page.evaluate(async () => {
            const { KeyPair, Mnemonic } = window.wallet;
            const { collect, all, pay } = window.tools;
            const [client] = window.pico.clients;
            // Create an account.
            const words = Mnemonic.generate();
            const mine = KeyPair.fromMnemonic(words);
            const other = KeyPair.generate();
            const empty = await client.getAccount(mine.address);
            const watch = collect(client.watchAddresses([mine.address]));
            // Fund it.
            const funding = await client.sendTransaction(pay(client, window.funded, mine.address, 1_000n * 100_000n));
            const funded = await client.waitForTransaction(funding.hash, { timeoutMs: 30_000 });
            const rich = await client.getAccount(mine.address);
            // Send some of it to another.
            const raw = window.wallet.TransactionBuilder.withMessage({
                keyPair: mine, recipient: other.address, value: 400n * 100_000n, fee: 138n, message: 'for you',
                validityStartHeight: client.state.head.blockNumber, network: 'unit-albatross',
            });
            const sent = await client.sendTransaction(raw);
            const included = await client.waitForTransaction(sent.hash, { timeoutMs: 30_000 });
            const final = await client.waitForTransaction(sent.hash, { confirmations: 'finalized', timeoutMs: 180_000 });
            const isFinal = (seen) => (of) => seen.some(({ hash, state }) => hash === of.hash && state === 'finalized');
            await watch.until((seen) => [funding, sent].every(isFinal(seen)));
            await watch.leave();
            const [after, received] = await client.getAccounts([mine.address, other.address]);
            const history = await all(client.transactionsByAddress(mine.address));
            return {
                empty, funding, funded, rich, sent, included, final, after, received, history,
                watched: watch.seen, ended: await watch.ended,
                one: await client.getTransaction(sent.hash),
                block: await client.getBlock(included.blockNumber),
                limited: await all(client.transactionsByAddress(mine.address, { limit: 1 })),
                older: await all(client.transactionsByAddress(mine.address, { startAt: sent.hash })),
                since: await all(client.transactionsByAddress(mine.address, { sinceBlock: included.blockNumber })),
                theirs: await all(client.transactionsByAddress(other.address)),
                addresses: { mine: mine.address, other: other.address },
                words: words.words,
            };
        });
        const { addresses, funding, sent } = story;
        assert.deepEqual([story.empty.type, story.empty.balance], ['basic', 0n]);
        assert.deepEqual([funding.state, funding.sender, funding.recipient, funding.value], ['pending', shared.net.funded.address, addresses.mine, 1_000n * NIM]);
        assert.equal(story.funded.state === 'included' || story.funded.state === 'finalized', true, story.funded.state);
        assert.equal(story.rich.balance, 1_000n * NIM);
        assert.ok(story.rich.blockNumber >= story.funded.blockNumber);

        assert.deepEqual(
            { ...sent, hash: undefined, validityStartHeight: undefined },
            {
                hash: undefined, sender: addresses.mine, recipient: addresses.other, value: 400n * NIM, fee: 138n,
                data: Buffer.from('for you').toString('hex'), flags: 0, validityStartHeight: undefined, format: 'extended', state: 'pending',
            },
        );
        assert.equal(story.final.state, 'finalized');
        for (const details of [story.included, story.final, story.one]) {
            assert.equal(details.hash, sent.hash);
            assert.equal(details.executed, true);
            assert.equal(details.blockNumber, story.included.blockNumber);
            assert.equal(details.timestamp, story.block.timestamp);
            assert.ok(details.confirmations >= 1);
        }
        assert.equal(story.after.balance, 600n * NIM - 138n);
        assert.equal(story.received.balance, 400n * NIM);

        // What was watched: each transaction, each state once, in order.
        const states = (hash) => story.watched.filter((details) => details.hash === hash).map(({ state }) => state);
        for (const { hash } of [funding, sent]) {
            assert.equal(states(hash)[0], 'pending');
            assertBecameFinal(states(hash));
        }
        assert.equal(new Set(story.watched.map(({ hash }) => hash)).size, 2);
        assert.equal(story.ended, undefined);

        // What is found again.
        const hashes = (list) => list.map(({ hash }) => hash);
        assert.deepEqual(hashes(story.history), [sent.hash, funding.hash]);
        assert.deepEqual(story.history.map(({ executed }) => executed), [true, true]);
        assert.deepEqual(hashes(story.limited), [sent.hash]);
        assert.deepEqual(hashes(story.older), [funding.hash]);
        assert.ok(hashes(story.since).includes(sent.hash));
        assert.deepEqual(hashes(story.theirs), [sent.hash]);

        // And after a reload.
        await page.reload();
        await page.waitForFunction(() => window.pico !== undefined);
        await page.evaluate(prepare, shared.net.funded.privateKey);
        const again = await createClient(page, options());
        await again.call('ready', { timeoutMs: 60_000 });
        const later = await page.evaluate(async (words) => {
            const { KeyPair, Mnemonic } = window.wallet;
            const [client] = window.pico.clients;
            const { address } = KeyPair.fromMnemonic(Mnemonic.parse(words.join(' ')));
            return { account: await client.getAccount(address), history: await window.tools.all(client.transactionsByAddress(address)) };
        }, story.words);
        assert.equal(later.account.address, addresses.mine);
        assert.equal(later.account.balance, 600n * NIM - 138n);
        assert.deepEqual(hashes(later.history), [sent.hash, funding.hash]);
        assert.deepEqual(page.faults, []);
    });

    test('two clients in one page: the one sees what the other sends', async (t) => {
        const page = await openWallet(t, 2);
        const seen = await page.evaluate(async () => {
            const { collect, pay } = window.tools;
            const [sender, receiver] = window.pico.clients;
            const { address } = window.wallet.KeyPair.generate();
            const watch = collect(receiver.watchAddresses([address]));
            const { hash } = await sender.sendTransaction(pay(sender, window.funded, address, 7n));
            const there = await receiver.waitForTransaction(hash, { timeoutMs: 30_000 });
            await watch.until((seen) => seen.length >= 1);
            const account = await receiver.getAccount(address);
            await receiver.close();
            // The one goes on without the other.
            const final = await sender.waitForTransaction(hash, { confirmations: 'finalized', timeoutMs: 180_000 });
            return { hash, there, account, final, watched: watch.seen, ended: await watch.ended };
        });
        assert.equal(seen.there.hash, seen.hash);
        assert.equal(seen.account.balance, 7n);
        assert.equal(seen.final.state, 'finalized');
        // It was not sent by this client: to it, it was never pending.
        assert.ok(['included', 'finalized'].includes(seen.watched[0].state));
        assert.ok(seen.watched.every(({ hash }) => hash === seen.hash));
        // A watch ends in order when its client closes.
        assert.equal(seen.ended, undefined);
        assert.deepEqual(page.faults, []);
    });

    test('what no node would take is refused before it is sent', async (t) => {
        const page = await openWallet(t);
        const results = await page.evaluate(async () => {
            const { pay } = window.tools;
            const [client] = window.pico.clients;
            const { address } = window.wallet.KeyPair.generate();
            const outcome = (promise) => promise.then((value) => ({ value }), (error) => ({ error: window.pico.plain(error) }));
            const { blockNumber } = client.state.head;
            const payment = (more) => pay(client, window.funded, address, 5n, more);
            const broken = payment();
            broken[broken.length - 1] ^= 1;
            const sent = client.state.bytesSent;
            const refused = {
                expired: await outcome(client.sendTransaction(payment({ validityStartHeight: blockNumber - 65 }))),
                early: await outcome(client.sendTransaction(payment({ validityStartHeight: blockNumber + 1000 }))),
                'of another network': await outcome(client.sendTransaction(payment({ network: 'test-albatross' }))),
                'badly signed': await outcome(client.sendTransaction(broken)),
                'cut off': await outcome(client.sendTransaction(payment().slice(0, 50))),
                'with more behind it': await outcome(client.sendTransaction(new Uint8Array([...payment(), 0]))),
                empty: await outcome(client.sendTransaction(new Uint8Array())),
            };
            return { refused, sent: client.state.bytesSent - sent };
        });
        for (const [name, { value, error }] of Object.entries(results.refused)) {
            assert.equal(value, undefined, name);
            assert.equal(error.code, 'invalid-transaction', `${name}: ${error.message}`);
            assert.ok(error.typed && error.message.length > 10, `${name}: ${error.message}`);
        }
        // Each says what is wrong with it.
        const messages = new Set(Object.values(results.refused).map(({ error }) => error.message));
        assert.ok(messages.size >= 5, [...messages].join('\n'));
        assert.deepEqual(page.faults, []);
    });

    test('sending twice, hex or bytes, and what is in the chain already', async (t) => {
        const page = await openWallet(t);
        const result = await page.evaluate(async () => {
            const { pay } = window.tools;
            const [client] = window.pico.clients;
            const raw = pay(client, window.funded, window.wallet.KeyPair.generate().address, 5n);
            const hex = Array.from(raw, (byte) => byte.toString(16).padStart(2, '0')).join('');
            const [first, second] = await Promise.all([client.sendTransaction(raw), client.sendTransaction(hex)]);
            const included = await client.waitForTransaction(first.hash, { timeoutMs: 30_000 });
            const third = await client.sendTransaction(raw).then((value) => ({ value }), window.pico.plain);
            return { first, second, included, third };
        });
        assert.equal(result.second.hash, result.first.hash);
        assert.equal(result.included.executed, true);
        assert.equal(result.third.code, 'invalid-transaction', JSON.stringify(result.third.message));
        assert.ok(result.third.message.includes(`block ${result.included.blockNumber}`), result.third.message);
    });

    test('a payment without cover expires', async (t) => {
        const page = await openWallet(t);
        const result = await page.evaluate(async () => {
            const { collect, pay } = window.tools;
            const { KeyPair } = window.wallet;
            const [client] = window.pico.clients;
            const poor = KeyPair.generate();
            const watch = collect(client.watchAddresses([poor.address]));
            // Near the end of its validity window already, which nobody can see it get through.
            const validityStartHeight = client.state.head.blockNumber - 50;
            const sent = await client.sendTransaction(pay(client, poor, KeyPair.generate().address, 5n, { validityStartHeight }));
            const end = await client.waitForTransaction(sent.hash, { confirmations: 'finalized', timeoutMs: 180_000 });
            await watch.until((seen) => seen.length >= 2);
            await watch.leave();
            return { sent, end, watched: watch.seen.map(({ state }) => state), unknown: (await client.getTransaction(sent.hash)) ?? 'nobody knows it' };
        });
        assert.equal(result.sent.state, 'pending');
        assert.equal(result.end.state, 'expired');
        assert.equal(result.end.blockNumber, undefined);
        assert.deepEqual(result.watched, ['pending', 'expired']);
        assert.equal(result.unknown, 'nobody knows it');
    });

    test('waiting ends when it is told to', async (t) => {
        const page = await openWallet(t);
        const ends = await page.evaluate(async () => {
            const [client] = window.pico.clients;
            const outcome = (promise) => promise.then((value) => ({ value }), window.pico.plain);
            const nothing = 'ab'.repeat(32);
            const abort = new AbortController();
            const aborted = outcome(client.waitForTransaction(nothing, { signal: abort.signal }));
            const late = await outcome(client.waitForTransaction(nothing, { timeoutMs: 50 }));
            abort.abort();
            const before = await outcome(client.waitForTransaction(nothing, { signal: abort.signal }));
            const unknown = (await client.getTransaction(nothing)) ?? 'nobody knows it';
            const closing = outcome(client.waitForTransaction(nothing));
            const history = client.transactionsByAddress(window.funded.address);
            const first = await history.next();
            await client.close();
            // Half a history must not look like a whole one.
            const rest = await outcome(history.next());
            return { aborted: await aborted, late, before, unknown, closing: await closing, first: first.done, rest };
        });
        assert.equal(ends.aborted.code, 'aborted');
        assert.equal(ends.late.code, 'timeout');
        assert.match(ends.late.message, /abab.*50 ms/);
        assert.equal(ends.before.code, 'aborted');
        assert.equal(ends.unknown, 'nobody knows it');
        assert.equal(ends.closing.code, 'closed');
        assert.deepEqual([ends.first, ends.rest.code], [false, 'closed']);
        assert.deepEqual(page.faults, []);
    });

    test('iterators are read at their own pace, one by one, and left at any time', async (t) => {
        const page = await openWallet(t);
        const result = await page.evaluate(async () => {
            const { pay } = window.tools;
            const [client] = window.pico.clients;
            const { address } = window.wallet.KeyPair.generate();
            const watch = client.watchAddresses([address]);
            // Nobody reads while these happen.
            const sent = [];
            for (const value of [1n, 2n, 3n]) sent.push((await client.sendTransaction(pay(client, window.funded, address, value))).hash);
            for (const hash of sent) await client.waitForTransaction(hash, { timeoutMs: 30_000 });
            // All asked for at once, served in order.
            const items = (await Promise.all(Array.from({ length: 6 }, () => watch.next()))).map(({ value }) => value);
            // Where a batch ends between the three, some of the six tell that one is final before the last is included.
            const told = (hash) => items.filter((item) => item.hash === hash).length;
            while (sent.some((hash) => told(hash) < 2)) items.push((await watch.next()).value);
            const waiting = watch.next();
            const left = await watch.return();
            return { sent, items, waiting: await waiting, left, after: await watch.next() };
        });
        const over = { done: true, value: undefined };
        assert.deepEqual([result.left, result.after], [over, over]);
        for (const hash of result.sent) {
            const states = result.items.filter((item) => item.hash === hash).map(({ state }) => state);
            assert.equal(states[0], 'pending');
            assert.ok(states.length >= 2, `${hash}: ${states}`);
        }
        assert.deepEqual(page.faults, []);
    });

    test('with nobody to take it, a payment is not sent', async (t) => {
        const page = await openWallet(t);
        await shared.reached.vanish();
        // What is handed to a peer that is gone, before that is noticed, is as good as sent.
        // Over WebRTC nobody says that a peer is gone: it is asked, and given some time.
        await page.waitForFunction(() => window.pico.clients[0].peers().length === 0, undefined, { timeout: 2 * PATIENCE_MS });
        const result = await page.evaluate(async () => {
            const { pay } = window.tools;
            const [client] = window.pico.clients;
            const raw = pay(client, window.funded, window.wallet.KeyPair.generate().address, 5n);
            return client.sendTransaction(raw).then((value) => ({ value }), window.pico.plain);
        });
        await shared.reached.comeBack();
        assert.equal(result.code, 'no-peers', JSON.stringify(result.message));
    });
});
