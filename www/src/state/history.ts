// The transactions of the wallet's accounts: pages that are fetched as they are asked for, what the watch of `accounts.ts`
// tells as it happens, and what was sent from here and is not in a block yet. Kept for when there is no network.

import { computed, signal, type ReadonlySignal, type Signal } from '@preact/signals';
import type { Network, PicoSyncClient, TransactionDetails } from 'pico-sync-client';

import { client, network } from './connection.js';
import { inWords, isClientError } from '../lib/errors.js';
import { lastValidBlock } from '../lib/policy.js';
import { cache, cached, forgetCached } from '../vault/store.js';
import { accountRecords } from '../vault/vault.js';

/** A transaction, and if it was made here, the signed bytes of it in hex: they can be sent again. */
export type Row = TransactionDetails & { raw?: string };

/** What is known of an account's transactions. */
export interface History {
    /** Newest first. */
    rows: Row[];
    /** There is nothing before the last row. */
    complete: boolean;
    loading: boolean;
    /** Whether the newest page was fetched since this page was opened. */
    live: boolean;
    problem?: unknown;
}

/** How many are fetched at a time, and how many are kept. */
const PAGE = 20;
const KEPT = 100;

type Entry = { state: Signal<History>; network: Network; address: string; recalled: Promise<void>; writing?: ReturnType<typeof setTimeout>; abort?: AbortController };
const entries = new Map<string, Entry>();

/** The transactions of an account on the network of the page. Fetches nothing by itself. */
export function historyOf(address: string): ReadonlySignal<History> {
    return computed(() => entry(network.value, address).state.value);
}

/**
 * Keeps the newest page of an account's history loaded for as long as it is looked at, whichever client there is. Returns how
 * to stop.
 */
export function openHistory(address: string): () => void {
    let stopped = false;
    let asked: PicoSyncClient | undefined;
    const stop = client.subscribe((current) => {
        if (stopped || current === asked) return;
        asked = current;
        if (current) void fetchPage(current, entry(network.peek(), address), undefined);
    });
    return () => {
        stopped = true;
        stop();
        entry(network.peek(), address).abort?.abort();
    };
}

/** Fetches what came before the last row. */
export function more(address: string): void {
    const current = client.peek();
    const of = entry(network.peek(), address);
    if (!current || of.state.peek().loading) return;
    const last = of.state.peek().rows.findLast(({ blockNumber }) => blockNumber !== undefined);
    void fetchPage(current, of, last?.hash);
}

/** Fetches the newest page again. */
export function reload(address: string): void {
    const current = client.peek();
    if (current) void fetchPage(current, entry(network.peek(), address), undefined);
}

async function fetchPage(asked: PicoSyncClient, of: Entry, startAt: string | undefined): Promise<void> {
    of.abort?.abort();
    const end = new AbortController();
    of.abort = end;
    update(of, (now) => ({ ...now, loading: true, problem: undefined }));
    let iterator: AsyncIterableIterator<TransactionDetails> | undefined;
    const fetched: TransactionDetails[] = [];
    try {
        await of.recalled;
        await asked.ready({ signal: end.signal });
        iterator = asked.transactionsByAddress(of.address, { limit: PAGE, startAt });
        end.signal.addEventListener('abort', () => void iterator?.return?.(), { once: true });
        for await (const transaction of iterator) {
            if (end.signal.aborted) return;
            fetched.push(transaction);
            update(of, (now) => ({ ...now, rows: mergeRows(now.rows, [transaction]) }));
        }
        if (end.signal.aborted) return;
        const all = fetched.length < PAGE;
        update(of, (now) =>
            startAt === undefined
                ? { ...now, ...reconciled(now, fetched, all), live: true, loading: false }
                : { ...now, complete: all, loading: false },
        );
    } catch (error) {
        if (end.signal.aborted) return;
        // Another client will be asked in its place.
        const over = isClientError(error) && (error.code === 'closed' || error.code === 'aborted');
        update(of, (now) => ({ ...now, loading: false, problem: over ? undefined : error }));
    } finally {
        if (of.abort === end) of.abort = undefined;
        // Left while it waited: it is another fetch's to say that it loads.
        if (end.signal.aborted && !of.abort) update(of, (now) => ({ ...now, loading: false }));
    }
}

/**
 * The rows after the newest page has come: what was known before it stays only if the two fit together, as a chain may have
 * been replaced by another since. What is not in a block stays in any case.
 */
export function reconciled(now: Pick<History, 'rows' | 'complete'>, page: TransactionDetails[], all: boolean): Pick<History, 'rows' | 'complete'> {
    const fresh = new Map(page.map((transaction) => [transaction.hash, transaction]));
    const oldest = page.at(-1)?.blockNumber ?? 0;
    const newest = page[0]?.blockNumber ?? 0;
    const before = now.rows.filter(({ hash, blockNumber }) => !fresh.has(hash) && blockNumber !== undefined && blockNumber <= oldest);
    const overlap = now.rows.some(({ hash, blockNumber }) => blockNumber !== undefined && fresh.get(hash)?.blockNumber === blockNumber);
    const kept = now.rows.filter((row) => {
        if (fresh.has(row.hash)) return true;
        // Not in a block; or in one that came after the page was asked for.
        if (row.blockNumber === undefined || row.blockNumber > newest) return row.blockNumber === undefined || row.state === 'included';
        return !all && overlap && before.includes(row);
    });
    return { rows: mergeRows(kept, page), complete: all || (overlap && now.complete) };
}

/** Newest first: what is in no block yet, then by block. What is told later of the same transaction holds. */
export function mergeRows(rows: Row[], told: Row[]): Row[] {
    const byHash = new Map(rows.map((row) => [row.hash, row]));
    for (const row of told) {
        const before = byHash.get(row.hash);
        // The signed bytes are of use until it is in a block for good.
        const raw = row.raw ?? (row.state === 'finalized' ? undefined : before?.raw);
        byHash.set(row.hash, raw === undefined ? row : { ...row, raw });
    }
    const place = ({ blockNumber, state, validityStartHeight }: Row) => blockNumber ?? (state === 'pending' ? Infinity : validityStartHeight);
    const order = new Map([...byHash.keys()].map((hash, i) => [hash, i]));
    return [...byHash.values()].sort((a, b) => {
        const [at, other] = [place(a), place(b)];
        if (at !== other) return at < other ? 1 : -1;
        if (a.blockNumber === undefined && a.validityStartHeight !== b.validityStartHeight) return b.validityStartHeight - a.validityStartHeight;
        return (order.get(a.hash) ?? 0) - (order.get(b.hash) ?? 0);
    });
}

/** A transaction became known, or reached another state: it is put into the history of each account that it touches. */
export function take(transaction: Row): void {
    for (const { address } of accountRecords.peek()) {
        if (transaction.sender !== address && transaction.recipient !== address) continue;
        const of = entry(network.peek(), address);
        void of.recalled.then(() => update(of, (now) => ({ ...now, rows: mergeRows(now.rows, [transaction]) })));
    }
}

/** Luna that an account has sent and that are in no block yet: its balance has them still. */
export function pendingOut(address: string): ReadonlySignal<bigint> {
    return computed(() =>
        entry(network.value, address)
            .state.value.rows.filter(({ state, sender }) => state === 'pending' && sender === address)
            .reduce((sum, { value, fee }) => sum + value + fee, 0n),
    );
}

/** Asks what has become of rows that are not final, of every account. */
export async function recheck(asked: PicoSyncClient, addresses: string[], signal: AbortSignal): Promise<void> {
    for (const row of await openRows(addresses)) {
        if (signal.aborted) return;
        try {
            const found = await asked.getTransaction(row.hash);
            if (signal.aborted) return;
            if (found) take(found);
            else if (row.state === 'included') take(unincluded(row));
        } catch (error) {
            // It is asked again with the next macro block.
            if (!signal.aborted) console.info(`what became of a transaction can’t be told yet: ${inWords(error)}`);
            return;
        }
    }
}

/**
 * Takes up what an earlier visit has left in the air: a payment that was sent and not seen in a block is looked for, and sent
 * again if it is in none. That does no harm, as it is the very same transaction.
 */
export async function resume(asked: PicoSyncClient, addresses: string[], signal: AbortSignal): Promise<void> {
    await recheck(asked, addresses, signal);
    for (const row of await openRows(addresses)) {
        if (signal.aborted) return;
        if (row.state !== 'pending') continue;
        if (asked.state.head.blockNumber > lastValidBlock(network.peek(), row.validityStartHeight)) {
            take({ ...row, state: 'expired' });
            continue;
        }
        // Somebody else's is theirs to send.
        if (row.raw === undefined) continue;
        try {
            take({ ...(await asked.sendTransaction(row.raw)), raw: row.raw });
        } catch (error) {
            if (signal.aborted) return;
            // As for a network that began anew: its chain has no place for it.
            if (isClientError(error) && error.code === 'invalid-transaction') take({ ...row, state: 'expired' });
            else console.info(`a payment can’t be sent again yet: ${inWords(error)}`);
        }
    }
}

/** Forgets what is known of an account's history. */
export async function forgetHistory(address: string): Promise<void> {
    for (const [name, of] of entries) {
        if (of.address !== address) continue;
        of.abort?.abort();
        clearTimeout(of.writing);
        entries.delete(name);
    }
    await forgetCached((name) => name.startsWith('history/') && name.endsWith(`/${address}`));
}

/** Rows that may change yet, each once. */
async function openRows(addresses: string[]): Promise<Row[]> {
    const all = addresses.map((address) => entry(network.peek(), address));
    await Promise.all(all.map(({ recalled }) => recalled));
    const rows = all.flatMap(({ state }) => state.peek().rows).filter(({ state }) => state === 'pending' || state === 'included');
    return [...new Map(rows.map((row) => [row.hash, row])).values()];
}

/** It was in a block that is none of the chain any more. */
function unincluded({ blockNumber: _number, timestamp: _timestamp, confirmations: _confirmations, executed: _executed, ...row }: Row): Row {
    return { ...row, state: 'pending' };
}

function entry(of: Network, address: string): Entry {
    const name = key(of, address);
    let found = entries.get(name);
    if (!found) {
        const state = signal<History>({ rows: [], complete: false, loading: false, live: false });
        found = { state, network: of, address, recalled: Promise.resolve() };
        entries.set(name, found);
        const made = found;
        found.recalled = cached(name).then(
            (kept) => {
                const { rows, complete } = (kept ?? { rows: [], complete: false }) as Pick<History, 'rows' | 'complete'>;
                state.value = { ...state.peek(), rows: mergeRows(rows, state.peek().rows), complete };
                made.recalled = Promise.resolve();
            },
            (error: unknown) => console.info('what was known of an account’s history can’t be read:', error),
        );
    }
    return found;
}

/** Changes what is known, and keeps it: once for changes that come together. */
function update(of: Entry, next: (now: History) => History): void {
    const before = of.state.peek();
    of.state.value = next(before);
    if (of.state.peek().rows === before.rows && of.state.peek().complete === before.complete) return;
    of.writing ??= setTimeout(() => {
        of.writing = undefined;
        const { rows, complete } = of.state.peek();
        const kept = rows.slice(0, KEPT);
        cache(key(of.network, of.address), { rows: kept, complete: complete && kept.length === rows.length }).catch((error: unknown) => console.info('history can’t be kept:', error));
    }, 0);
}

const key = (of: Network, address: string): string => `history/${of}/${address}`;
