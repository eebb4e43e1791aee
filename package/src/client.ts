// The public class: options, iterators, promises and their ends. What it knows of the chain comes from the core.

import type { Bridge, ClientCore, TransactionReader } from './core.js';
import { PicoSyncError, describe, toPicoSyncError } from './error.js';
import { EventHub } from './events.js';
import { Instance } from './instance.js';
import { Keeper } from './keeper.js';
import { builtInKey, type BuiltInKey } from './keys.js';
import { watchPage } from './lifecycle.js';
import { logSink } from './log.js';
import { sharedParts } from './module.js';
import type { Parts } from './platform.js';
import { ClientStorage } from './storage.js';
import { nextTask } from './task.js';
import { TransactionIterator } from './transactions.js';
import type {
    Account, Block, ClientOptions, ClientState, ElectedValidator, HistoryOptions, LogLevel, Network, PeerInfo, ReadyOptions,
    Staker, SyncEvent, TransactionDetails, UnlistedEvent, Validator, WaitOptions,
} from './types.js';
import { VerificationWorker } from './verifier.js';
import { checkLimits, invalid, readOptions, show, startLimits, type Limits } from './wait.js';

/** How long closing waits for the core to say goodbye to its peers. Milliseconds. */
const CLOSE_TIMEOUT = 2_000;

const constructing = Symbol();
// Browsers without explicit resource management lack the symbol; the method is then simply out of reach.
const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol('Symbol.asyncDispose');

/** A light client for one Nimiq network. Several can run in one page, independently. */
export class PicoSyncClient implements AsyncIterable<SyncEvent> {
    readonly #events = new EventHub();
    /** What happened before anybody could listen. `undefined` once it is handed out. */
    #early: (SyncEvent | UnlistedEvent)[] | undefined = [];
    /** Rejects each promise that has been given out and not settled. */
    readonly #pending = new Set<(error: PicoSyncError) => void>();
    /** Called when the state may have changed. */
    readonly #watchers = new Set<() => void>();
    #instance: Instance | undefined;
    #core: ClientCore | undefined;
    #worker: VerificationWorker | undefined;
    #keeper: Keeper | undefined;
    #state: ClientState | undefined;
    #refreshing = false;
    #lastConsensus: ClientState['consensus'] | undefined;
    #release: () => void = () => {};
    #closing: Promise<void> | undefined;
    /** Why the client is no more. */
    #over: PicoSyncError | undefined;
    #signalOver: () => void = () => {};
    readonly #untilOver = new Promise<void>((resolve) => (this.#signalOver = resolve));

    /** @internal */
    constructor(token?: typeof constructing) {
        if (token !== constructing) {
            throw new PicoSyncError('invalid-options', 'A client is made with `await PicoSyncClient.create(options)`.');
        }
    }

    /** Starts the client and its verification worker. Rejects with `PicoSyncError` on bad options. */
    static async create(options: ClientOptions = {}): Promise<PicoSyncClient> {
        // Checked by the core, which lists everything that is wrong at once; until then, anything is possible.
        const signal = options instanceof Object ? readOptions(options, ({ signal }) => signal) : undefined;
        const aborted = () => {
            if (signal?.aborted) throw new PicoSyncError('aborted', 'The signal was aborted before the client had started.', signal.reason);
        };
        aborted();
        // Side by side: these wait for the network, that for the disk.
        const opening = ClientStorage.open(options);
        const loading = builtInKey(options);
        const client = new PicoSyncClient(constructing);
        try {
            const parts = await sharedParts();
            aborted();
            await client.#start(parts, await opening, await loading, options);
            aborted();
        } catch (error) {
            const failure = toPicoSyncError(error, 'crashed');
            client.#finish(failure);
            await (await opening).close();
            throw failure;
        }
        const abort = () => void client.close();
        signal?.addEventListener('abort', abort, { once: true });
        const stopWatching = client.#watchPage();
        client.#release = () => {
            signal?.removeEventListener('abort', abort);
            stopWatching();
        };
        // Once whoever waits for the client has had a chance to subscribe.
        void nextTask().then(() => client.#handOutEarly());
        return client;
    }

    async #start({ module, startWorker, globals }: Parts, storage: ClientStorage, builtIn: BuiltInKey, options: ClientOptions): Promise<void> {
        this.#keeper = new Keeper(storage, (record) => {
            try {
                return this.#instance?.call(() => this.#core?.saved(record));
            } catch (error) {
                this.#finish(toPicoSyncError(error, 'crashed'));
                return undefined;
            }
        });
        storage.listen((notice) => this.#event({ type: 'storage', at: Date.now(), ...notice }));
        const instance = await Instance.start(module, (error) => this.#finish(error), globals);
        this.#instance = instance;
        // Each step takes a while: not in one go, the page has other things to do.
        await nextTask();
        const bridge: Bridge = {
            event: (event) => this.#event(event),
            log: logSink(options?.logger),
            // A crashed page has no use for an answer any more.
            verify: (job) => this.#worker?.verify(job) ?? Promise.resolve(undefined),
        };
        const prepared = instance.call(({ ClientCore }) => ClientCore.prepare(options, bridge, storage.stored));
        await nextTask();
        const core = instance.call(() => prepared.start(builtIn.bytes));
        this.#core = core;
        const network = instance.call(() => core.network);
        // A copy: the page may have a use of its own for those bytes, and workers may have to be started again.
        const verifyingKey = (options?.verifyingKey ?? builtIn.bytes)?.slice();
        this.#worker = new VerificationWorker(options?.worker ?? startWorker, { module, network, verifyingKey }, (notice) =>
            this.#event({ type: 'worker', at: Date.now(), ...notice }),
        );
        if (builtIn.problem) this.#event({ type: 'zkp', status: 'unavailable', reason: builtIn.problem, at: Date.now() });
        await nextTask();
        if (this.#over) throw this.#over;
        this.#refresh();
    }

    /** Passes on what becomes of the page. Returns how to stop that. */
    #watchPage(): () => void {
        const tell = (call: (core: ClientCore) => void) => {
            const core = this.#core;
            if (!core || this.#closing) return;
            try {
                this.#instance?.call(() => call(core));
            } catch (error) {
                this.#finish(toPicoSyncError(error, 'crashed'));
            }
        };
        return watchPage({
            online: (online) => tell((core) => core.setOnline(online)),
            wake: (frozenMs) => tell((core) => core.wake(frozenMs)),
            leaving: () => tell(() => this.#keeper?.now()),
        });
    }

    /**
     * A new, independent iterator from now on. `break`/`return()` unsubscribes. Ends when the client closes; throws
     * `PicoSyncError` if the client crashed. A reader that is more than 256 events behind gets `lagged` and goes on
     * with the newest.
     */
    events(): AsyncIterableIterator<SyncEvent> {
        return this.#events.subscribe();
    }

    /** As `events()`. */
    [Symbol.asyncIterator](): AsyncIterableIterator<SyncEvent> {
        return this.events();
    }

    /** A snapshot, cheap to take. Still there after the end, with `consensus` at `'closed'`. */
    get state(): ClientState {
        this.#refresh();
        return this.#state as ClientState;
    }

    /**
     * Resolves when consensus is established; with `{ trust: 'verified' }`, once that holds too. Rejects with `timeout`
     * after `timeoutMs` (default: never), `aborted`, `closed` or `crashed`.
     */
    async ready(options: ReadyOptions = {}): Promise<ClientState> {
        const { trust, signal, timeoutMs } = readOptions(options, ({ trust, signal, timeoutMs }) => ({ trust, signal, timeoutMs }));
        if (trust !== undefined && trust !== 'optimistic' && trust !== 'verified') {
            throw invalid(`trust: ${show(trust)} is neither 'optimistic' nor 'verified'`);
        }
        const problem = checkLimits({ signal, timeoutMs });
        if (problem) throw problem;

        const limits = startLimits({ signal, timeoutMs }, (ms) => this.#notReady(ms));
        let look = () => {};
        const reached = new Promise<ClientState>((resolve) => {
            look = () => {
                const state = this.#state;
                if (state?.consensus === 'established' && (trust !== 'verified' || state.trust === 'verified')) resolve(state);
            };
            this.#watchers.add(look);
            this.#refresh();
            look();
        });
        return this.#bound(reached, limits).finally(() => this.#watchers.delete(look));
    }

    /**
     * The account at an address, proven against the state root of a block that the client holds. An address that is
     * proven to have none is a basic account of 0.
     */
    getAccount(address: string): Promise<Account> {
        // One was asked for, so there is one.
        return this.getAccounts([address]).then(([account]) => account as Account);
    }

    /** As `getAccount`, for up to 2,000 at once, in the same order. */
    getAccounts(addresses: string[]): Promise<Account[]> {
        return this.#ask((core) => core.getAccounts(addresses));
    }

    /** The validator at an address, proven; `undefined` if it is proven that there is none. */
    getValidator(address: string): Promise<Validator | undefined> {
        return this.#ask((core) => core.getValidator(address));
    }

    /** The staker at an address, proven; `undefined` if it is proven that there is none. */
    getStaker(address: string): Promise<Staker | undefined> {
        return this.#ask((core) => core.getStaker(address));
    }

    /** The validators elected for the current epoch, in the order of their slots. */
    getElectedValidators(): Promise<ElectedValidator[]> {
        return this.#ask((core) => core.getElectedValidators());
    }

    /**
     * A block by hash or number: from the client's chain, else fetched and proven against its election head. Rejects with
     * `not-found` if it is not part of the chain, or nobody has it any more.
     */
    getBlock(hashOrNumber: string | number): Promise<Block> {
        return this.#ask((core) => core.getBlock(hashOrNumber));
    }

    /** A transaction by hash, its inclusion proven; `undefined` if no peer can prove it. */
    getTransaction(hash: string): Promise<TransactionDetails | undefined> {
        return this.#ask((core) => core.getTransaction(hash));
    }

    /**
     * The transactions of an address, newest first, each proven before it is yielded. They are fetched as they are asked
     * for. Throws `closed` if the client is closed before the last one.
     */
    transactionsByAddress(address: string, options?: HistoryOptions): AsyncIterableIterator<TransactionDetails> {
        const read = this.#open((core) => core.transactionsByAddress(address, options));
        return new TransactionIterator({ next: () => read.next(), free: () => read.free() });
    }

    /**
     * Transactions that touch the addresses, from now on: each is yielded once for each state that it reaches, proven
     * before it is. Those sent through this client are yielded as `pending` first. A reader may take its time: only with
     * more than 2,048 unread does it get the error `timeout`, and none goes missing silently. `break`/`return()` ends the
     * watch, and so does closing the client. At most 250 addresses can be watched at a time.
     */
    watchAddresses(addresses: string[]): AsyncIterableIterator<TransactionDetails> {
        const read = this.#open((core) => core.watchAddresses(addresses));
        const next = () =>
            read.next().catch((error: unknown) => {
                if (read.opened && error instanceof PicoSyncError && error.code === 'closed') return undefined;
                throw error;
            });
        return new TransactionIterator({ next, free: () => read.free() });
    }

    /**
     * Broadcasts a signed, serialised transaction, as bytes or hex. Resolves once it is handed to a peer; follow it with
     * `watchAddresses` or `waitForTransaction`. One that no node would take is rejected with `invalid-transaction` before
     * anything is sent.
     */
    sendTransaction(raw: Uint8Array | string): Promise<TransactionDetails> {
        return this.#ask((core) => core.sendTransaction(raw));
    }

    /**
     * Resolves when a transaction is included or finalized, as `confirmations` says, or can't be any more: look at its
     * `state`. Rejects with `timeout` after `timeoutMs` (default: never), `aborted`, `closed` or `crashed`.
     */
    async waitForTransaction(hash: string, options: WaitOptions = {}): Promise<TransactionDetails> {
        const { confirmations, signal, timeoutMs } = readOptions(options, ({ confirmations, signal, timeoutMs }) => ({ confirmations, signal, timeoutMs }));
        const problem = checkLimits({ signal, timeoutMs });
        if (problem) throw problem;
        const read = this.#open((core) => core.waitForTransaction(hash, confirmations));
        const limits = startLimits({ signal, timeoutMs }, (ms) => `Transaction ${hash} was not ${confirmations ?? 'included'} within ${ms} ms.`);
        // It has one, or an error.
        const found = read.next(limits).then((details) => details as TransactionDetails);
        return found.finally(() => read.free());
    }

    /** The peers connected now. */
    peers(): PeerInfo[] {
        const core = this.#core;
        if (!core || !this.#instance) return [];
        return this.#instance.call(() => core.peers());
    }

    /** Dials a peer. Resolves when it can be used; rejects with `no-peers` if it can't be reached. */
    connect(multiaddr: string): Promise<void> {
        return this.#ask((core) => core.connect(multiaddr));
    }

    /** Closes the connection to a peer. Resolves also if there was none. */
    disconnect(peerId: string): Promise<void> {
        return this.#ask((core) => core.disconnect(peerId));
    }

    /** From now on, records of this level and of graver ones are logged. */
    setLogLevel(level: LogLevel): void {
        this.#call((core) => core.setLogLevel(level));
    }

    /** Forgets everything stored for a network. A client that runs stores again what it learns from then on. */
    static clearStorage(network: Network): Promise<void> {
        return ClientStorage.clear(network);
    }

    /** Closes connections, worker, timers, listeners. Idempotent. Pending calls reject with code `closed`. */
    close(): Promise<void> {
        this.#closing ??= this.#close();
        return this.#closing;
    }

    /** As `close()`, for `await using`. */
    [asyncDispose](): Promise<void> {
        return this.close();
    }

    async #close(): Promise<void> {
        if (this.#over) return;
        this.#refresh();
        this.#settle(closed());
        let timer: ReturnType<typeof setTimeout> | undefined;
        const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_TIMEOUT)));
        try {
            // While the peers are still there: they are what is worth remembering.
            this.#keeper?.now();
            const farewell = this.#instance?.call(() => this.#core?.close());
            const ends = Promise.all([farewell, this.#keeper?.end()]);
            await Promise.race([ends, patience, this.#untilOver]);
        } catch (error) {
            // Everything is torn down below in any case; what the farewell met is for the log.
            logSink()('warn', 'pico_sync_client', `Closing: ${describe(error)}`);
        } finally {
            clearTimeout(timer);
            this.#finish(closed());
        }
    }

    /** The end, for whichever reason: nothing stays open, nobody is left waiting. */
    #finish(reason: PicoSyncError): void {
        if (this.#over) return;
        this.#over = reason;
        if (this.#state) this.#state = { ...this.#state, consensus: 'closed', peers: 0, goodPeers: 0 };
        this.#release();
        this.#worker?.end();
        void this.#keeper?.end();
        this.#instance?.end(reason);
        this.#worker = this.#instance = this.#core = undefined;
        this.#handOutEarly();
        if (reason.code === 'crashed') {
            this.#events.end(reason);
        } else {
            if (this.#lastConsensus !== 'closed') this.#events.emit({ type: 'consensus', state: 'closed', at: Date.now() });
            this.#events.end();
        }
        this.#settle(reason);
        this.#signalOver();
    }

    /** Rejects everything that is still waiting. */
    #settle(reason: PicoSyncError): void {
        for (const reject of this.#pending) reject(reason);
        this.#pending.clear();
    }

    #event(event: SyncEvent | UnlistedEvent): void {
        if (event.type === 'consensus') this.#lastConsensus = event.state;
        this.#keeper?.see(event);
        if (this.#early) this.#early.push(event);
        else this.#events.emit(event as SyncEvent);
        if (this.#refreshing) return;
        // Not at once: the core is in the middle of something when it hands out an event.
        this.#refreshing = true;
        queueMicrotask(() => {
            this.#refreshing = false;
            this.#refresh();
            for (const look of this.#watchers) look();
        });
    }

    #handOutEarly(): void {
        const early = this.#early ?? [];
        this.#early = undefined;
        for (const event of early) this.#events.emit(event as SyncEvent);
    }

    /** Takes a snapshot, so that the last one is at hand when no more can be taken. */
    #refresh(): void {
        const core = this.#core;
        if (!core) return;
        try {
            const state = this.#instance?.call(() => core.state());
            if (state) this.#state = state;
        } catch (error) {
            // Only a crash can bring this about, and that has been dealt with.
            this.#finish(toPicoSyncError(error, 'crashed'));
        }
    }

    /** A call into the core, while there is one. */
    #call<T>(call: (core: ClientCore) => T): T {
        const core = this.#core;
        if (!core || !this.#instance || this.#closing) throw this.#over ?? closed();
        return this.#instance.call(() => call(core));
    }

    /** A call to the core that takes a while. */
    async #ask<T>(call: (core: ClientCore) => Promise<T>): Promise<T> {
        return this.#bound(this.#call(call));
    }

    /** Has the core start reading. If it can't, the first `next()` says why. */
    #open(open: (core: ClientCore) => TransactionReader) {
        let reader: TransactionReader | undefined;
        let problem: unknown;
        try {
            reader = this.#call(open);
        } catch (error) {
            problem = error;
        }
        return {
            /** Whether it did start. */
            opened: reader !== undefined,
            next: async (limits?: Limits): Promise<TransactionDetails | undefined> => {
                let work: Promise<TransactionDetails | undefined>;
                try {
                    const opened = reader;
                    if (!opened) throw problem;
                    work = this.#call(() => opened.next());
                } catch (error) {
                    limits?.clear();
                    throw error;
                }
                return this.#bound(work, limits);
            },
            free: () => reader?.free(),
        };
    }

    /** `work`, but rejecting when the client ends, also if it never comes back, and when `limits` are exceeded. */
    #bound<T>(work: Promise<T>, limits?: Limits): Promise<T> {
        let reject: (error: PicoSyncError) => void = () => {};
        const over = new Promise<never>((_, fail) => (reject = fail));
        if (this.#over || this.#closing) reject(this.#over ?? closed());
        else this.#pending.add(reject);
        const result = Promise.race(limits ? [work, over, limits.over] : [work, over]).catch((error: unknown) => {
            throw toPicoSyncError(error, 'crashed');
        });
        return result.finally(() => {
            this.#pending.delete(reject);
            limits?.clear();
        });
    }

    #notReady(afterMs: number): string {
        const state = this.#state;
        const found = state ? `${state.consensus}, trust ${state.trust}, ${state.goodPeers} good of ${state.peers} peers` : 'not started';
        return `Not ready after ${afterMs} ms: ${found}.`;
    }
}

function closed(): PicoSyncError {
    return new PicoSyncError('closed', 'The client is closed.');
}
