// The payments of `npm run test:interop`: transactions that our wallet makes and our client sends, as an unmodified node
// takes them. From a funded account to a new one, back with a message, and all the way into and out of staking.

import { Failure } from './env.mjs';

const NETWORK = 'unit-albatross';
/** Blocks until inactive stake can be retired: to the end of its epoch, and one more. */
const LOCKED_BLOCKS = 128;
/** How long the node may take to include a transaction. It makes a block a second. */
const INCLUSION_MS = 30_000;
/** A batch is 32 blocks; its last one makes what is in it final. */
const FINALITY_MS = 60_000;

/**
 * Runs it with the page's first client. `key` is the private key of the funded account and
 * `validator` the address that stake is delegated to; `unstake`, whether to wait the one or two epochs until stake can
 * be had back. `tell` is given a line about each transaction. Rejects with a `Failure` at the first thing that should not be.
 */
export async function payments(page, { key, validator, unstake, tell }) {
    await page.exposeBinding('tell', (_, line) => tell(line));
    const options = { key, validator, unstake, network: NETWORK, locked: LOCKED_BLOCKS, inclusion: INCLUSION_MS, finality: FINALITY_MS };
    const problem = await page.evaluate(script, options);
    if (problem) throw new Failure(problem);
}

/** Runs in the page. Resolves with what is wrong, or nothing. */
async function script({ key, validator, unstake, network, locked, inclusion, finality }) {
    const NIM = 100_000n;
    const FEE = 500n;
    const { KeyPair, Mnemonic, TransactionBuilder } = await import('/dist/wallet.js');
    const [client] = window.pico.clients;

    const expect = (what, found, wanted) => {
        if (found !== wanted) throw new Error(`${what} is ${found}, not ${wanted}`);
    };
    /** Makes a transaction, sends it, and sees it included. Resolves with the details. */
    const send = async (kind, keyPair, more) => {
        const { blockNumber } = client.state.head;
        const raw = TransactionBuilder[kind]({ keyPair, fee: FEE, validityStartHeight: blockNumber, network, ...more });
        const sent = await client.sendTransaction(raw);
        const included = await client.waitForTransaction(sent.hash, { timeoutMs: inclusion });
        expect(`the ${kind} transaction`, ['included', 'finalized'].includes(included.state), true);
        expect(`the ${kind} transaction’s execution`, included.executed, true);
        await window.tell(`${kind} transaction in block ${included.blockNumber}`);
        return included;
    };
    const balance = async (keyPair) => (await client.getAccount(keyPair.address)).balance;
    const headAfter = async (number) => {
        if (client.state.head.blockNumber > number) return;
        for await (const event of client.events()) if (event.type === 'head' && event.blockNumber > number) return;
    };

    try {
        await client.ready();
        const funded = KeyPair.fromPrivateKey(key);
        const account = KeyPair.fromMnemonic(Mnemonic.generate());
        let due = 1000n * NIM;
        const first = await send('basic', funded, { recipient: account.address, value: due });
        expect('the new account’s balance', await balance(account), due);
        const final = client.waitForTransaction(first.hash, { confirmations: 'finalized', timeoutMs: finality });

        await send('withMessage', account, { recipient: funded.address, value: NIM, message: 'Grüße 👋' });
        due -= NIM + FEE;
        await send('stake', account, { delegation: validator, value: 500n * NIM });
        await send('addStake', account, { value: 100n * NIM });
        due -= 600n * NIM + 2n * FEE;
        expect('the balance after staking', await balance(account), due);
        const staked = await client.getStaker(account.address);
        expect('the stake', staked?.balance, 600n * NIM);
        expect('the delegation', staked?.delegation, validator);

        await send('setActiveStake', account, { activeStake: 0n });
        due -= FEE;
        const inactive = await client.getStaker(account.address);
        expect('the inactive stake', inactive?.inactiveBalance, 600n * NIM);
        expect('the state of the first payment', (await final).state, 'finalized');
        await window.tell('the first payment is final');
        if (!unstake) return undefined;

        await headAfter(inactive.inactiveFrom + locked);
        await send('retireStake', account, { value: 600n * NIM });
        due -= FEE;
        expect('the retired stake', (await client.getStaker(account.address))?.retiredBalance, 600n * NIM);
        await send('unstake', account, { value: 600n * NIM - FEE });
        due += 600n * NIM - FEE;
        expect('the staker that has left', await client.getStaker(account.address), undefined);
        expect('the balance in the end', await balance(account), due);
        return undefined;
    } catch (error) {
        return `${error?.code ?? error?.name}: ${error?.message}`;
    }
}
