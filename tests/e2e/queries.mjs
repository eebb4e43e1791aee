// What a wallet or a dApp asks of the chain: accounts, validators, stakers and blocks, each proven, from real nodes.
// A suite for each way to them.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { browserAndServer, createClient, devnet, is, openBlank, scope } from './harness.mjs';

/** What the genesis of the devnet's network says. */
const GENESIS = {
    number: 200,
    hash: '4f8f18fcfe98ccacee0745b6aa69365cd28c836f962d577de57f04aa17fe54a1',
    validator: 'NQ20 TSB0 DFSM UH9C 15GQ GAGJ TTE4 D3MA 859E',
    signingKey: '7a4d16d80d0afab4af8dc38e4ebd20cf46f5b8aa8cd5baa45a52717ae976119c',
    rewardAddress: 'NQ46 U66M JNLD 0DJ7 0E9P Q7XR V9KV H976 813A',
    staker: 'NQ39 VBTN P2HX Q3MF KHF1 CCLA G6FS 9B8S VY28',
    stake: 100_000n,
};
const STAKING_CONTRACT = 'NQ77 0000 0000 0000 0000 0000 0000 0000 0001';
/** Nobody has ever sent anything there. */
const NOBODY = 'NQ07 0000 0000 0000 0000 0000 0000 0000 0000';
const BLOCKS_PER_BATCH = 32;
const BLOCKS_PER_EPOCH = 128;
/** The code of an error, to be compared as a whole. */
const code = ({ error }) => error?.code;

export const questions = (way) => describe(`questions about the chain, ${way.name}`, { timeout: 600_000 }, () => {
    let page;
    let client;
    const suite = scope();
    /** The value of an answer. */
    const ask = async (method, ...args) => {
        const { value, error } = await client.call(method, ...args);
        assert.equal(error, undefined, `${method}(${args}): ${error?.message}`);
        return value;
    };
    before(async () => {
        const shared = await browserAndServer(suite);
        const net = await devnet(suite, { epochs: 3 });
        const { options } = await way.reach(suite, net);
        page = await openBlank(suite, shared);
        client = await createClient(page, { network: net.network, ...options, storage: 'memory' });
    });

    test('that come before consensus wait for it', async () => {
        // No waiting for anything here: the client has just been made.
        const [account, validators, block] = await Promise.all([
            ask('getAccount', GENESIS.rewardAddress),
            ask('getElectedValidators'),
            ask('getBlock', GENESIS.number),
        ]);
        assert.ok(account.balance > 0n);
        assert.equal(validators.length, 1);
        assert.equal(block.hash, GENESIS.hash);
        assert.equal((await client.state()).consensus, 'established');
    });

    test('accounts, absent ones too', async () => {
        const addresses = [GENESIS.rewardAddress, NOBODY, STAKING_CONTRACT, GENESIS.rewardAddress];
        const { head } = await client.state();
        const [funded, nobody, contract, again] = await ask('getAccounts', addresses);
        assert.deepEqual([funded, nobody, contract, again].map(({ address }) => address), addresses);
        assert.equal(funded.type, 'basic');
        assert.ok(funded.balance >= 10_000_000_00000n, `${funded.balance}`);
        assert.equal(funded.details, undefined);
        assert.deepEqual([nobody.type, nobody.balance], ['basic', 0n]);
        assert.equal(contract.type, 'staking');
        assert.deepEqual(contract.details.activeValidators.map(({ address }) => address), [GENESIS.validator]);
        assert.equal(contract.details.activeValidators[0].stake, contract.balance);
        assert.deepEqual(again, funded);
        const now = (await client.state()).head;
        for (const { blockNumber, trust } of [funded, nobody, contract]) {
            // However long it took: of the head as it was when it was asked for, or nearly.
            assert.ok(blockNumber <= now.blockNumber && blockNumber > head.blockNumber - 10, `${blockNumber}, at ${head.blockNumber} to ${now.blockNumber}`);
            assert.match(trust, /^(optimistic|verified)$/);
        }
        assert.deepEqual(await ask('getAccounts', []), []);
    });

    test('addresses in every spelling', async () => {
        const spellings = [GENESIS.staker.replaceAll(' ', ''), '0000000000000000000000000000000000000000', NOBODY];
        const accounts = await ask('getAccounts', spellings);
        assert.deepEqual(accounts.map(({ address }) => address), [GENESIS.staker, NOBODY, NOBODY]);
    });

    test('an answer says how far it can be trusted', async () => {
        await ask('ready', { trust: 'verified', timeoutMs: 60_000 });
        assert.equal((await ask('getAccount', NOBODY)).trust, 'verified');
    });

    test('more accounts than fit into one request', async () => {
        const addresses = Array.from({ length: 600 }, (_, i) => (i + 2).toString(16).padStart(40, '0'));
        addresses[300] = GENESIS.rewardAddress;
        const accounts = await ask('getAccounts', addresses);
        assert.equal(accounts.length, 600);
        assert.deepEqual(accounts.flatMap(({ balance }, i) => (balance > 0n ? [i] : [])), [300]);
    });

    test('validators and stakers, absent ones too', async () => {
        const validator = await ask('getValidator', GENESIS.validator);
        assert.equal(validator.address, GENESIS.validator);
        assert.equal(validator.signingKey, GENESIS.signingKey);
        assert.match(validator.votingKey, /^0bfb6a287f9c3e35[0-9a-f]{554}$/);
        assert.equal(validator.rewardAddress, GENESIS.rewardAddress);
        assert.equal(validator.totalStake, validator.deposit + GENESIS.stake);
        assert.equal(validator.numStakers, 1);
        assert.equal(validator.retired, false);
        assert.deepEqual([validator.inactiveFrom, validator.jailedFrom], [undefined, undefined]);
        assert.equal(await ask('getValidator', GENESIS.staker), undefined);

        assert.deepEqual(await ask('getStaker', GENESIS.staker), {
            address: GENESIS.staker,
            balance: GENESIS.stake,
            delegation: GENESIS.validator,
            inactiveBalance: 0n,
            retiredBalance: 0n,
        });
        assert.equal(await ask('getStaker', GENESIS.validator), undefined);
        assert.deepEqual(await ask('getElectedValidators'), [{ address: GENESIS.validator, slots: 512, firstSlot: 0 }]);
    });

    test('blocks by number and by hash, wherever they are', async () => {
        // With an election block, nodes forget what was between the macro blocks of the epoch before the last one.
        const electionNow = async () => (await client.state()).electionHead.blockNumber;
        const begun = await electionNow();
        try {
            await blocksEverywhere();
        } catch (error) {
            if ((await electionNow()) === begun) throw error;
            await blocksEverywhere();
        }
    });

    async function blocksEverywhere() {
        const { head, electionHead } = await client.state();
        const macro = (number) => (number - GENESIS.number) % BLOCKS_PER_BATCH === 0;
        const election = (number) => (number - GENESIS.number) % BLOCKS_PER_EPOCH === 0;
        const places = {
            genesis: GENESIS.number,
            'an early election block': GENESIS.number + BLOCKS_PER_EPOCH,
            'the last election block': electionHead.blockNumber,
            'a checkpoint of the epoch before': electionHead.blockNumber - BLOCKS_PER_BATCH,
            'a micro block of the epoch before': electionHead.blockNumber - BLOCKS_PER_BATCH + 5,
            'the first block of this epoch': electionHead.blockNumber + 1,
            'the head': head.blockNumber,
        };
        for (const [place, number] of Object.entries(places)) {
            const block = await ask('getBlock', number);
            assert.equal(block.blockNumber, number, place);
            assert.match(block.hash, /^[0-9a-f]{64}$/, place);
            assert.equal(block.type, macro(number) ? 'macro' : 'micro', place);
            assert.equal(block.election, election(number), place);
            assert.equal(block.epoch, Math.ceil((number - GENESIS.number) / BLOCKS_PER_EPOCH), place);
            assert.equal(block.batch, Math.ceil((number - GENESIS.number) / BLOCKS_PER_BATCH), place);
            assert.deepEqual(await ask('getBlock', block.hash), block, place);
            // Nodes keep what is between macro blocks for the last two epochs only.
            if (number <= electionHead.blockNumber - BLOCKS_PER_EPOCH) continue;
            // Each leads to the one before: what was found is one chain.
            const parent = await ask('getBlock', block.parentHash);
            assert.equal(parent.blockNumber, number - 1, place);
            assert.equal(parent.hash, block.parentHash, place);
            assert.ok(parent.timestamp <= block.timestamp, place);
        }
        const last = await ask('getBlock', electionHead.blockNumber);
        assert.equal(last.hash, electionHead.hash);
        assert.equal(last.timestamp, electionHead.timestamp);
        assert.equal((await ask('getBlock', GENESIS.number)).hash, GENESIS.hash);
    }

    test('blocks that there are not', async () => {
        const { head } = await client.state();
        const nowhere = [head.blockNumber + 1000, 0, GENESIS.number - 1, 'ab'.repeat(32)];
        // Of an epoch long over, nobody has it any more.
        nowhere.push(GENESIS.number + 5);
        const results = await Promise.all(nowhere.map((id) => client.call('getBlock', id)));
        for (const { error } of results) assert.ok(error?.typed && error.code === 'not-found', JSON.stringify(error));
    });

    test('arguments that are wrong are refused, by name', async () => {
        const refused = async (expected, named, method, ...args) => {
            const { error } = await client.call(method, ...args);
            assert.equal(error?.code, expected, `${method}(${args}): ${error?.message}`);
            assert.ok(error.typed && error.message.includes(named), error.message);
        };
        const wrongDigit = NOBODY.replace('07', '08');
        for (const method of ['getAccount', 'getValidator', 'getStaker']) {
            for (const address of [wrongDigit, '', 'nobody', 7, null]) await refused('invalid-address', 'address', method, address);
        }
        await refused('invalid-address', "'nobody'", 'getAccounts', [NOBODY, 'nobody']);
        await refused('invalid-options', 'addresses', 'getAccounts', NOBODY);
        await refused('invalid-options', '2000', 'getAccounts', Array(2_001).fill(NOBODY));
        for (const id of ['200', 'xyz', -1, 0.5, null, {}, 2 ** 32]) await refused('invalid-options', 'hashOrNumber', 'getBlock', id);
        for (const hash of ['', 'ab', 5]) await refused('invalid-options', 'hash', 'getTransaction', hash);
        for (const hash of ['', 'ab', 5]) await refused('invalid-options', 'hash', 'waitForTransaction', hash);
        const any = 'ab'.repeat(32);
        await refused('invalid-options', 'confirmations', 'waitForTransaction', any, { confirmations: 'many' });
        await refused('invalid-options', 'timeoutMs', 'waitForTransaction', any, { timeoutMs: 'soon' });
        await refused('invalid-options', 'signal', 'waitForTransaction', any, { signal: 1 });
        for (const raw of ['xyz', 'abc', 5, null]) await refused('invalid-transaction', 'raw', 'sendTransaction', raw);
    });

    test('iterators refuse wrong arguments when they are read', async () => {
        const wrong = [
            ['transactionsByAddress', 'nobody'],
            ['transactionsByAddress', NOBODY, { limit: -1 }],
            ['transactionsByAddress', NOBODY, { startAt: 'last' }],
            ['transactionsByAddress', NOBODY, { sinceBlock: 'x' }],
            ['transactionsByAddress', NOBODY, 5],
            ['watchAddresses', NOBODY],
            ['watchAddresses', ['nobody']],
            ['watchAddresses', Array(251).fill(NOBODY)],
        ];
        const ends = await page.evaluate(async (wrong) => {
            const ends = [];
            for (const [method, ...args] of wrong) {
                const iterator = window.pico.clients[0][method](...args);
                const first = await iterator.next().catch(window.pico.plain);
                ends.push([first.code, first.typed, await iterator.next()]);
            }
            return ends;
        }, wrong);
        const over = { done: true, value: undefined };
        const expected = ['invalid-address', ...Array(5).fill('invalid-options'), 'invalid-address', 'invalid-options'];
        assert.deepEqual(ends, expected.map((code) => [code, true, over]));
    });

    test('answers stay right while the chain goes on', async () => {
        // Rewards are paid at macro blocks: across one, the balance grows, and never shrinks.
        const before = await ask('getAccount', GENESIS.rewardAddress);
        const from = client.events.length;
        const macroAfter = () => client.events.slice(from).some(is('macro-block'));
        await client.until(macroAfter, 'macro block', 180_000);
        const { blockNumber } = client.events.slice(from).find(is('macro-block'));
        let account = before;
        while (account.blockNumber < blockNumber) {
            const next = await ask('getAccount', GENESIS.rewardAddress);
            assert.ok(next.blockNumber >= account.blockNumber, 'an answer is no older than the one before');
            assert.ok(next.balance >= account.balance, 'nobody spends');
            account = next;
        }
    });

    test('closing ends what is still being asked', async () => {
        const waiting = ['getAccount', 'getValidator', 'getStaker'].map((method) => client.call(method, NOBODY));
        waiting.push(client.call('waitForTransaction', 'ab'.repeat(32)), client.call('getBlock', 'cd'.repeat(32)));
        await client.call('close');
        // Some may have been answered before.
        const ends = await Promise.all(waiting);
        for (const end of ends) assert.ok(end.error === undefined || ['closed', 'not-found'].includes(code(end)), JSON.stringify(end.error));
        assert.equal(code(ends[3]), 'closed');
        const late = await Promise.all([client.call('getAccount', NOBODY), client.call('getElectedValidators'), client.call('sendTransaction', 'ab')]);
        assert.deepEqual(late.map(code), ['closed', 'closed', 'closed']);
        assert.deepEqual(page.faults, []);
    });
});
