// Stakes: whom one can delegate to, what can be done with a stake now, and what has to be waited for before the rest can. The
// rules are the protocol's; `payments.ts` makes and sends what is decided here.

import { signal } from '@preact/signals';
import type { Network, PicoSyncClient, Staker, Validator } from 'pico-sync-client';

import type { Plan } from './payments.js';
import { BLOCK_MS, MINIMUM_STAKE, jailRelease, releaseBlock } from '../lib/policy.js';

/** The contract that holds all stakes. */
export const STAKING_CONTRACT = 'NQ77 0000 0000 0000 0000 0000 0000 0000 0001';

/** A validator to choose from. Details come one after the other, as each is proven. */
export interface Candidate {
    address: string;
    /** Of the 512 slots of this epoch; 0 if it is not elected. */
    slots: number;
    details?: Validator;
}

/** What can be done with a stake. */
export const PLANS = {
    stake: (delegation: string, value: bigint): Plan => ({ TransactionBuilder }, terms) => TransactionBuilder.stake({ ...terms, delegation, value }),
    add: (value: bigint): Plan => ({ TransactionBuilder }, terms) => TransactionBuilder.addStake({ ...terms, value }),
    /** Delegates all of it to another validator, and has it work again. */
    move: (delegation: string): Plan => ({ TransactionBuilder }, terms) => TransactionBuilder.updateStaker({ ...terms, delegation, reactivateAllStake: true }),
    setActive: (activeStake: bigint): Plan => ({ TransactionBuilder }, terms) => TransactionBuilder.setActiveStake({ ...terms, activeStake }),
    retire: (value: bigint): Plan => ({ TransactionBuilder }, terms) => TransactionBuilder.retireStake({ ...terms, value }),
    /** Pays out what is retired, all of it: the protocol knows no part. The fee is taken from it. */
    withdraw: (retired: bigint): Plan => ({ TransactionBuilder }, terms) => TransactionBuilder.unstake({ ...terms, value: retired - terms.fee }),
};

/** Something that can't be done before a block. */
export type Wait = { block: number; blocks: number; ms: number; because: 'epoch' | 'release' | 'jail' };

/** What a stake is at, and what can be done next. */
export interface Outlook {
    /** Something can be made inactive. */
    deactivate: boolean;
    /** Something can be made active again. */
    reactivate: boolean;
    /** Another validator can be chosen. */
    move: boolean;
    /** Something can be retired. */
    retire: boolean;
    /** Something can be paid out. */
    withdraw: boolean;
    /** What retiring, and another validator, wait for. */
    wait?: Wait;
}

/** What can be done with a stake at the head of the chain, and what it waits for. `validator`: the one it is delegated to. */
export function outlook(network: Network, staker: Staker, validator: Validator | undefined, head: number): Outlook {
    const { balance, inactiveBalance, inactiveFrom, retiredBalance, delegation } = staker;
    let wait: Wait | undefined;
    if (delegation !== undefined && inactiveBalance > 0n) {
        const jailed = validator?.jailedFrom === undefined ? 0 : jailRelease(network, validator.jailedFrom);
        const released = inactiveFrom === undefined ? 0 : releaseBlock(network, inactiveFrom);
        const block = Math.max(jailed, released);
        // What is sent now is in the next block at the earliest.
        if (block > head + 1) {
            const because = jailed > released ? 'jail' : inactiveFrom !== undefined && inactiveFrom > head ? 'epoch' : 'release';
            wait = { block, blocks: block - head, ms: (block - head) * BLOCK_MS, because };
        }
    }
    const free = wait === undefined;
    return {
        deactivate: balance > 0n,
        reactivate: inactiveBalance > 0n,
        move: delegation === undefined || (balance === 0n && free),
        retire: inactiveBalance > 0n && free,
        withdraw: retiredBalance > 0n,
        wait,
    };
}

/** Why so much can't be what is left active, inactive or retired, as a sentence. All in Luna. */
export function minimumProblem(active: bigint, inactive: bigint, retired: bigint): string | undefined {
    const working = active + inactive;
    const all = working + retired;
    if (working > 0n && working < MINIMUM_STAKE) return 'What stays staked has to be at least 100 NIM, or nothing.';
    if (all > 0n && all < MINIMUM_STAKE) return 'A stake is at least 100 NIM in all.';
    return undefined;
}

/** The validators to choose from, the largest first; `undefined` until they are known. */
export const candidates = signal<Candidate[] | undefined>(undefined);
/** How many are asked about at a time. */
const AT_ONCE = 4;

/** Fetches them, and then what is to know of each. Rejects with what the client rejects with. */
export async function loadCandidates(asked: PicoSyncClient, also: (string | undefined)[], end: AbortSignal): Promise<void> {
    await asked.ready({ signal: end });
    const elected = await asked.getElectedValidators();
    const list: Candidate[] = elected.map(({ address, slots }) => ({ address, slots })).sort((a, b) => b.slots - a.slots);
    for (const address of also) if (address !== undefined && !list.some((one) => one.address === address)) list.unshift({ address, slots: 0 });
    if (end.aborted) return;
    const before = new Map(candidates.peek()?.map((one) => [one.address, one.details]));
    candidates.value = list.map((one) => ({ ...one, details: before.get(one.address) }));
    const queue = [...list];
    const work = async () => {
        for (let next = queue.shift(); next && !end.aborted; next = queue.shift()) {
            const details = await asked.getValidator(next.address);
            const { address } = next;
            if (!end.aborted) candidates.value = candidates.peek()?.map((one) => (one.address === address ? { ...one, details } : one));
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** What a validator can't be chosen for, as a sentence; `undefined` for one that can. */
export function unfit(network: Network, { details }: Candidate, head: number): string | undefined {
    if (!details) return undefined;
    if (details.retired) return 'It has retired.';
    if (details.jailedFrom !== undefined && jailRelease(network, details.jailedFrom) > head) return 'It is jailed for misbehaviour.';
    if (details.inactiveFrom !== undefined) return details.inactiveFrom > head ? 'It will be inactive soon.' : 'It is inactive.';
    return undefined;
}

/** What staking transactions say of themselves, by the first byte of their data. */
const INCOMING: Record<number, string> = { 0: 'New validator', 1: 'Validator changed', 5: 'Staked', 6: 'Added to stake', 7: 'Validator chosen', 8: 'Stake deactivated', 9: 'Stake retired' };

/** What a transaction from or to the staking contract does, in a few words. */
export function stakingText({ sender, recipient, data }: { sender: string; recipient: string; data: string }): string | undefined {
    if (sender === STAKING_CONTRACT) return 'Stake withdrawn';
    if (recipient !== STAKING_CONTRACT) return undefined;
    return INCOMING[parseInt(data.slice(0, 2), 16)] ?? 'Staking';
}
