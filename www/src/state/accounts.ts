// What is known of the wallet's accounts: asked for when the client can be asked, asked for again when something happened
// to them, and kept for when there is no network. The keys are `vault/`'s, the transactions `history.ts`'s.

import { computed, effect, signal } from '@preact/signals';
import type { Account, Network, PicoSyncClient, Staker, Trust } from 'pico-sync-client';

import { client, network } from './connection.js';
import { recheck, resume, take } from './history.js';
import { inWords, isClientError } from '../lib/errors.js';
import { cache, cached } from '../vault/store.js';
import { accountRecords } from '../vault/vault.js';

/** What was said of an account, at which block, and how far that block could be trusted. Amounts in Luna. */
export interface Known {
    type: Account['type'];
    balance: bigint;
    /** Its stake, if it has any. */
    staker?: Staker;
    blockNumber: number;
    trust: Trust;
    /** When it was said, Unix ms. */
    at: number;
    /** Whether that was since the page was opened. */
    live: boolean;
}

type Balances = ReadonlyMap<string, Known>;
const none: Balances = new Map();

const known = signal<{ network?: Network; balances: Balances }>({ balances: none });
/** By address. */
export const balances = computed<Balances>(() => (known.value.network === network.value ? known.value.balances : none));
/** Why the balances could not be asked for, the last time. */
export const balanceProblem = signal<unknown>(undefined);

/** What has been staked, whether it works or is on its way out. */
export const stakeOf = (staker: Staker | undefined): bigint => (staker ? staker.balance + staker.inactiveBalance + staker.retiredBalance : 0n);

/** All addresses, as one value to compare. */
const addresses = computed(() => accountRecords.value.map(({ address }) => address).join('\n'));

/** From now on, keeps up with the accounts and with the clients that come and go. Returns how to stop. */
export function followAccounts(): () => void {
    const stopCache = effect(() => {
        const of = network.value;
        void addresses.value;
        recall(of).catch((error: unknown) => console.info('what was known of the accounts can’t be read:', error));
    });
    const stopClient = effect(() => {
        const asked = client.value;
        const list = addresses.value ? addresses.value.split('\n') : [];
        const of = network.value;
        if (!asked || !list.length) return;
        const follower = new Follower(asked, of, list);
        return () => follower.stop();
    });
    return () => {
        stopClient();
        stopCache();
    };
}

/** Asks one client about some accounts, for as long as both are those of the page. */
class Follower {
    readonly #client: PicoSyncClient;
    readonly #network: Network;
    readonly #addresses: string[];
    readonly #end = new AbortController();
    /** What is to be ended with this. */
    readonly #iterators = new Set<AsyncIterator<unknown>>();
    /** Whose balance has to be asked for; empty while that is being done. */
    readonly #dirty = new Set<string>();
    #asking = false;
    #atNextHead: () => void = () => {};

    constructor(asked: PicoSyncClient, of: Network, addresses: string[]) {
        this.#client = asked;
        this.#network = of;
        this.#addresses = addresses;
        void this.#run();
    }

    stop(): void {
        this.#end.abort();
        this.#atNextHead();
        for (const iterator of this.#iterators) void iterator.return?.();
        this.#iterators.clear();
    }

    async #run(): Promise<void> {
        try {
            // The first two begin before anything is asked, so that nothing falls between the answer and what comes after it.
            await Promise.all([this.#watch(), this.#listen(), this.#begin()]);
        } catch (error) {
            if (!this.#isOver(error)) balanceProblem.value = error;
        }
    }

    async #begin(): Promise<void> {
        await this.#client.ready({ signal: this.#end.signal });
        this.#ask(this.#addresses);
        await resume(this.#client, this.#addresses, this.#end.signal);
    }

    /** A client that was closed or has crashed is the connection's to report. */
    #isOver(error: unknown): boolean {
        return this.#end.signal.aborted || (isClientError(error) && ['closed', 'aborted', 'crashed'].includes(error.code));
    }

    /** Transactions as they happen. */
    async #watch(): Promise<void> {
        while (!this.#end.signal.aborted) {
            const watch = this.#client.watchAddresses(this.#addresses);
            this.#iterators.add(watch);
            try {
                for await (const transaction of watch) {
                    if (this.#end.signal.aborted) return;
                    take(transaction);
                    this.#ask([transaction.sender, transaction.recipient].filter((address) => this.#addresses.includes(address)));
                }
                return;
            } catch (error) {
                if (this.#isOver(error)) return;
                // Too much at a time to read, or nobody to be asked: whatever was missed is in the next answers.
                console.info(`the watch of the accounts begins anew: ${inWords(error)}`);
                await new Promise<void>((resolve) => (this.#atNextHead = resolve));
                this.#ask(this.#addresses);
                void recheck(this.#client, this.#addresses, this.#end.signal);
            } finally {
                this.#iterators.delete(watch);
            }
        }
    }

    /** What changes more than single transactions. */
    async #listen(): Promise<void> {
        const events = this.#client.events();
        this.#iterators.add(events);
        try {
            for await (const event of events) {
                if (this.#end.signal.aborted) return;
                if (event.type === 'head') this.#atNextHead();
                const reverted = event.type === 'head' && event.reverted.length > 0;
                // Rewards come with macro blocks, and what was included becomes final.
                const back = event.type === 'consensus' && event.state === 'established';
                if (event.type === 'macro-block' || event.type === 'trust' || reverted || back) this.#ask(this.#addresses);
                if (event.type === 'macro-block' || reverted) void recheck(this.#client, this.#addresses, this.#end.signal);
                if (event.type === 'head' && balanceProblem.peek() !== undefined) this.#ask(this.#addresses);
            }
        } finally {
            this.#iterators.delete(events);
        }
    }

    /** Has the balances of these asked for; together with others, if that is being done already. */
    #ask(wanted: string[]): void {
        for (const address of wanted) this.#dirty.add(address);
        if (this.#asking || !this.#dirty.size || this.#client.state.consensus !== 'established') return;
        this.#asking = true;
        void this.#drain().finally(() => (this.#asking = false));
    }

    async #drain(): Promise<void> {
        while (this.#dirty.size && !this.#end.signal.aborted) {
            const wanted = [...this.#dirty];
            this.#dirty.clear();
            try {
                const [accounts, stakers] = await Promise.all([this.#client.getAccounts(wanted), Promise.all(wanted.map((address) => this.#client.getStaker(address)))]);
                if (this.#end.signal.aborted) return;
                learn(this.#network, accounts, stakers);
                balanceProblem.value = undefined;
            } catch (error) {
                if (this.#end.signal.aborted) return;
                // It is asked again with the next block.
                balanceProblem.value = error;
                for (const address of wanted) this.#dirty.add(address);
                return;
            }
        }
    }
}

function learn(of: Network, accounts: Account[], stakers: (Staker | undefined)[]): void {
    const next = new Map(known.peek().network === of ? known.peek().balances : none);
    accounts.forEach(({ address, type, balance, blockNumber, trust }, i) => {
        next.set(address, { type, balance, blockNumber, trust, staker: stakers[i], at: Date.now(), live: true });
    });
    known.value = { network: of, balances: next };
    cache(key(of), [...next]).catch((error: unknown) => console.info('balances can’t be kept:', error));
}

/** What was known the last time, unless more is known by now. */
async function recall(of: Network): Promise<void> {
    const kept = (await cached(key(of))) as [string, Known][] | undefined;
    if (network.peek() !== of) return;
    const now = known.peek().network === of ? known.peek().balances : none;
    const earlier = (kept ?? []).map(([address, what]): [string, Known] => [address, { ...what, live: false }]);
    known.value = { network: of, balances: new Map([...earlier, ...now]) };
}

const key = (of: Network): string => `balances/${of}`;

/** Forgets what was known of an account that is no longer in the wallet. */
export async function forgetKnown(address: string): Promise<void> {
    const { network: of, balances: now } = known.peek();
    if (!of) return;
    const next = new Map(now);
    next.delete(address);
    known.value = { network: of, balances: next };
    await cache(key(of), [...next]);
}
