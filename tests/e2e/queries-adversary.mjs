// One peer among three honest nodes that syncs honestly and lies when asked, each lie in its own devnet: every answer is
// right all the same, and who can be shown to have lied is banned. Two suites, each in a file of its own, as they take long.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { peerIdOf } from '../../scripts/lib/devnet.mjs';
import { PATIENCE_MS, browserAndServer, createClient, devnet, is, liveHeads, openBlank, scope } from './harness.mjs';

/** Epochs that exist at the start. */
const EPOCHS = 2;
/** Where it is about old blocks: enough for proofs of old election blocks to have a hop in them. */
const EPOCHS_OF_BLOCKS = 12;
/** Questions asked at once. They are spread over the peers, so the liar has its turn. */
const AT_ONCE = 8;
/** Accounts that one request can be about. */
const ACCOUNTS_PER_REQUEST = 255;
/** Transactions that exist at the start. */
const PREFILLED = 40;
/** Of unit-albatross: the number of the first block after genesis. */
const FIRST_BLOCK = 201;
const BLOCKS_PER_EPOCH = 128;
/** The account that holds all stakes. */
const STAKING_CONTRACT = 'NQ77 0000 0000 0000 0000 0000 0000 0000 0001';
/** An account that nobody has paid so far. */
const SOMEBODY = 'ab'.repeat(20);
/** Payments that come on top, in Luna. */
const PAYMENTS = [70_001, 70_002];

/** A suite of those `tests`, which are given what they share. */
const liars = (title, tests) => describe(title, () => {
    let shared;
    const suite = scope();
    before(async () => {
        shared = await browserAndServer(suite);
    });

    /** A client that knows the liar and the honest nodes, on a chain with payments both old and new. */
    async function meet(t, adversary, { epochs = EPOCHS, nodes = 3 } = {}) {
        const net = await devnet(t, { epochs, transactions: PREFILLED, nodes, adversary });
        const page = await openBlank(t, shared);
        const client = await createClient(page, { network: net.network, peers: net.addresses, minPeers: 2, storage: 'memory' });
        const liar = peerIdOf(net.liars[0]);
        const paid = [];
        for (const luna of PAYMENTS) paid.push(await net.pay(net.history.address, luna));
        await client.until(is('macro-sync', { outcome: 'good', peerId: liar }), 'the liar being found good');
        await client.until(is('consensus', { state: 'established' }), 'consensus');
        for (const hash of paid) await client.ask('waitForTransaction', hash, { timeoutMs: PATIENCE_MS });
        // Before that, a block that contradicts the client's own may be the right one, and is no proof of a lie.
        await client.until(is('trust', { level: 'verified' }), 'proof of the client\'s own chain');
        return { net, page, client, paid, liar };
    }

    /** Asks time and again, by which every peer has its turn, until the liar is dropped. Each answer is checked. */
    async function untilBanned({ client, page, liar }, ask) {
        const gone = is('peer-left', { peerId: liar });
        const deadline = Date.now() + PATIENCE_MS;
        for (let round = 0; !client.events.some(gone); round++) {
            assert.ok(Date.now() < deadline, `the liar is still there after ${round} questions`);
            await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => ask(round * AT_ONCE + i)));
        }
        // One that must come from an honest peer.
        await ask(0);
        const { reason } = client.events.find(gone);
        assert.match(reason, /lie|lying|malicious|banned/i);
        await stillWell({ client, page });
        return reason;
    }

    async function stillWell({ client, page }) {
        await liveHeads(client, 1);
        assert.equal((await client.state()).consensus, 'established');
        assert.deepEqual(client.events.filter(is('fallback')), []);
        // Nimiq's own crates log an error when a proof is none; that is what was to be shown.
        assert.deepEqual(page.faults.filter((fault) => !/^console: nimiq_\w+::/.test(fault)), []);
    }

    /** What the questions are, each with a check of its answer. */
    const questions = {
        async accounts({ net, client }) {
            // Three requests' worth, with an account that exists in each.
            const addresses = Array.from({ length: 3 * ACCOUNTS_PER_REQUEST }, (_, i) => 'c0de'.repeat(9) + i.toString(16).padStart(4, '0'));
            const existing = [net.history.address, net.funded.address, STAKING_CONTRACT];
            for (const [i, address] of existing.entries()) addresses[i * ACCOUNTS_PER_REQUEST] = address;
            const accounts = await client.ask('getAccounts', addresses);
            assert.equal(accounts.length, addresses.length);
            const [account, funded, staking] = existing.map((_, i) => accounts[i * ACCOUNTS_PER_REQUEST]);
            assert.equal(account.balance, historyBalance());
            assert.equal(account.type, 'basic');
            assert.ok(account.blockNumber >= net.head);
            assert.ok(funded.balance > 0n && funded.type === 'basic');
            assert.equal(staking.type, 'staking');
            assert.equal(accounts.filter(({ balance }) => balance > 0n).length, existing.length);
        },
        async transactions({ net, client, paid }) {
            for (const [i, hash] of paid.entries()) {
                const details = await client.ask('getTransaction', hash);
                assert.equal(details?.hash, hash);
                assert.equal(details.value, BigInt(PAYMENTS[i]));
                assert.equal(details.executed, true);
                assert.equal(details.recipient, net.history.address);
                assert.ok(['included', 'finalized'].includes(details.state), details.state);
            }
        },
        async history({ net, client, paid }) {
            const found = await client.all('transactionsByAddress', net.history.address);
            assert.equal(found.length, PREFILLED + paid.length);
            assert.equal(new Set(found.map(({ hash }) => hash)).size, found.length);
            assert.deepEqual(new Set(found.slice(0, paid.length).map(({ hash }) => hash)), new Set(paid));
            assert.ok(found.every(({ sender, recipient }) => [sender, recipient].includes(net.history.address)));
        },
        async oldElectionBlock({ client }, round) {
            // Those up to the 7th can't be reached without a hop.
            const number = FIRST_BLOCK + (1 + (round % 7)) * BLOCKS_PER_EPOCH - 1;
            const block = await client.ask('getBlock', number);
            assert.deepEqual([block.blockNumber, block.type, block.election], [number, 'macro', true]);
        },
        async oldBlock({ client }, round) {
            const number = FIRST_BLOCK + (EPOCHS_OF_BLOCKS - 1) * BLOCKS_PER_EPOCH + 5 + (round % 100);
            const block = await client.ask('getBlock', number);
            assert.equal(block.blockNumber, number);
            assert.deepEqual(await client.ask('getBlock', block.hash), block);
        },
    };

    /** Pays somebody, who is told of that and of nothing else. */
    async function toldOnlyTheTruth(scene, watch) {
        const hash = await scene.net.pay(SOMEBODY, 70_003);
        await watch.until((details) => details.hash === hash && details.state !== 'pending', 'the payment');
        await watch.stop();
        assert.deepEqual(new Set(watch.events.map((details) => details.hash)), new Set([hash]));
        await stillWell(scene);
    }

    tests({ meet, untilBanned, stillWell, questions, toldOnlyTheTruth, blank: (t) => openBlank(t, shared) });
});

/** Lies about accounts and transactions. */
export const aboutMoney = () => liars('a peer that lies when asked about accounts and transactions', ({ meet, untilBanned, questions }) => {
    const lies = {
        accounts: ['wrong-balance', 'forged-state', 'other-account', 'says-absent'],
        transactions: ['wrong-history-proof', 'forged-transaction', 'forged-execution', 'other-transaction', 'forged-history'],
        history: ['forged-receipts', 'foreign-receipts'],
    };
    for (const [question, adversaries] of Object.entries(lies)) {
        for (const adversary of adversaries) {
            test(`${adversary}: banned, the answer comes from an honest one`, async (t) => {
                const scene = await meet(t, adversary);
                t.diagnostic(await untilBanned(scene, (round) => questions[question](scene, round)));
            });
        }
    }

    test('old-state-root: a proof that does not fit the block it names is a lie, however old the block', async (t) => {
        const scene = await meet(t, 'old-state-root');
        await untilBanned(scene, () => questions.accounts(scene));
    });
});

/** Lies about blocks, lies that nobody asked for, and answers that don't come. */
export const aboutTheRest = () => liars('a peer that lies when asked about blocks, lies unasked, or does not answer', ({ meet, stillWell, questions, toldOnlyTheTruth, blank }) => {
    // Of blocks the client remembers what was proven on the way, so there are not enough questions to be sure that the liar
    // has its turn among others. It is the only one here, until it lies; the others are those that it told of.
    const liesAboutBlocks = {
        oldElectionBlock: ['wrong-blocks-proof', 'forged-blocks-proof'],
        oldBlock: ['wrong-old-block'],
    };
    for (const [question, adversaries] of Object.entries(liesAboutBlocks)) {
        for (const adversary of adversaries) {
            test(`${adversary}: banned, the answer comes from an honest one`, async (t) => {
                const net = await devnet(t, { epochs: EPOCHS_OF_BLOCKS, nodes: 3, adversary });
                const page = await blank(t);
                const client = await createClient(page, { network: net.network, peers: net.liars, minPeers: 1, desiredPeers: 1, storage: 'memory' });
                await client.until(is('consensus', { state: 'established' }), 'consensus with the liar');
                const ask = (round) => questions[question]({ client }, round);
                // Wrong it must not be; that there is nobody else to ask may be said.
                await ask(0).catch((error) => assert.match(error.code, /^(proof-invalid|no-peers)$/, String(error)));
                const { reason } = await client.until(is('peer-left', { peerId: peerIdOf(net.liars[0]) }), 'the liar being dropped');
                assert.match(reason, /lie|lying|malicious|banned/i);
                await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => ask(i)));
                await stillWell({ client, page });
            });
        }
    }

    // With so few peers all of them are subscribed to.
    test('forged-notification: banned, and nothing is told but what is true', async (t) => {
        const scene = await meet(t, 'forged-notification', { nodes: 2 });
        const { client, liar } = scene;
        const watch = await client.read('watchAddresses', [SOMEBODY]);
        await client.until(is('peer-left', { peerId: liar }), 'the liar being dropped');
        await toldOnlyTheTruth(scene, watch);
    });

    test('foreign-notification: nothing is told but what concerns the address', async (t) => {
        // Old ones are not even looked at, and a few that are proven to be of others are no crime.
        const scene = await meet(t, 'foreign-notification', { nodes: 2 });
        const watch = await scene.client.read('watchAddresses', [SOMEBODY]);
        await liveHeads(scene.client, 5);
        await toldOnlyTheTruth(scene, watch);
    });

    test('withholds-notifications: others tell', async (t) => {
        const scene = await meet(t, 'withholds-notifications');
        const { net, client } = scene;
        const watch = await client.read('watchAddresses', [net.history.address]);
        for (const luna of [70_003, 70_004]) {
            const hash = await net.pay(net.history.address, luna);
            await watch.until((details) => details.hash === hash && details.state !== 'pending', 'the payment');
        }
        await watch.stop();
        await stillWell(scene);
    });

    test('withholds-receipts: others have them', async (t) => {
        const scene = await meet(t, 'withholds-receipts');
        for (let round = 0; round < 4; round++) await questions.history(scene);
        await stillWell(scene);
    });

    for (const adversary of ['refuses-queries', 'ignores-queries', 'garbage-queries']) {
        test(`${adversary}: others answer`, async (t) => {
            const scene = await meet(t, adversary, { epochs: EPOCHS_OF_BLOCKS });
            for (const [name, ask] of Object.entries(questions)) {
                t.diagnostic(name);
                await ask(scene, 0);
            }
            await stillWell(scene);
        });
    }
});

/** What the account of the prefilled transactions owns: see the devnet for which those are. */
function historyBalance() {
    let balance = 0n;
    for (let i = 1; i <= PREFILLED; i++) balance += BigInt(100_000 + i) * (i % 4 ? 1n : -1n);
    return PAYMENTS.reduce((sum, luna) => sum + BigInt(luna), balance);
}
