// The public class: options, iterators, promises and their ends. What it knows of the chain comes from the core.

import type { Bridge, ClientCore } from './core.js';
import { PicoSyncError, describe, toPicoSyncError } from './error.js';
import { EventHub } from './events.js';
import { Instance } from './instance.js';
import { compiledModule } from './module.js';
import type { ClientOptions, ClientState, LogLevel, LogRecord, PeerInfo, ReadyOptions, SyncEvent, UnlistedEvent } from './types.js';
import { VerificationWorker } from './verifier.js';

/** How long closing waits for the core to say goodbye to its peers. Milliseconds. */
const CLOSE_TIMEOUT = 2_000;
/** The longest a timer of the platform can run. Milliseconds. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

const constructing = Symbol();
// Browsers without explicit resource management lack the symbol; the method is then simply out of reach.
const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol('Symbol.asyncDispose');

/** A light client for one Nimiq network. Several can run in one page, independently. */
export class PicoSyncClient implements AsyncIterable<SyncEvent> {
    readonly #events = new EventHub();
    /** Rejects each promise that has been given out and not settled. */
    readonly #pending = new Set<(error: PicoSyncError) => void>();
    /** Called when the state may have changed. */
    readonly #watchers = new Set<() => void>();
    #instance: Instance | undefined;
    #core: ClientCore | undefined;
    #worker: VerificationWorker | undefined;
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
        const signal = options?.signal;
        const aborted = () => {
            if (signal?.aborted) throw new PicoSyncError('aborted', 'The signal was aborted before the client had started.', signal.reason);
        };
        aborted();
        const module = await compiledModule();
        aborted();
        const client = new PicoSyncClient(constructing);
        try {
            await client.#start(module, options);
            aborted();
        } catch (error) {
            const failure = toPicoSyncError(error, 'crashed');
            client.#finish(failure);
            throw failure;
        }
        const abort = () => void client.close();
        signal?.addEventListener('abort', abort, { once: true });
        const stopWatching = client.#watchPage();
        client.#release = () => {
            signal?.removeEventListener('abort', abort);
            stopWatching();
        };
        return client;
    }

    async #start(module: WebAssembly.Module, options: ClientOptions): Promise<void> {
        const instance = await Instance.start(module, (error) => this.#finish(error));
        this.#instance = instance;
        // Instantiating and starting each take a while: not in one go, the page has other things to do.
        await nextTask();
        const bridge: Bridge = {
            event: (event) => this.#event(event),
            log: logSink(options?.logger),
            // A crashed page has no use for an answer any more.
            verify: (job) => this.#worker?.verify(job) ?? Promise.resolve(undefined),
        };
        const core = instance.call(({ ClientCore }) => ClientCore.create(options, bridge));
        this.#core = core;
        const network = instance.call(() => core.network);
        this.#worker = new VerificationWorker(options?.worker ?? defaultWorker, module, network, (notice) =>
            this.#event({ type: 'worker', at: Date.now(), ...notice }),
        );
        this.#refresh();
    }

    /** Passes on what the page learns of its network, and that its user is back. Returns how to stop that. */
    #watchPage(): () => void {
        const tell = (online: boolean) => {
            const core = this.#core;
            if (!core || this.#closing) return;
            try {
                this.#instance?.call(() => core.setOnline(online));
            } catch (error) {
                this.#finish(toPicoSyncError(error, 'crashed'));
            }
        };
        const offline = () => tell(false);
        const online = () => tell(true);
        // Timers hardly run in a page out of sight, and sockets may be gone: look at once when it comes back.
        const visible = () => {
            if (document.visibilityState === 'visible' && navigator.onLine) tell(true);
        };
        addEventListener('offline', offline);
        addEventListener('online', online);
        if (typeof document !== 'undefined') document.addEventListener('visibilitychange', visible);
        return () => {
            removeEventListener('offline', offline);
            removeEventListener('online', online);
            if (typeof document !== 'undefined') document.removeEventListener('visibilitychange', visible);
        };
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
    ready(options: ReadyOptions = {}): Promise<ClientState> {
        const { trust, signal, timeoutMs } = options;
        if (trust !== undefined && trust !== 'optimistic' && trust !== 'verified') {
            return invalid(`trust: ${show(trust)} is neither 'optimistic' nor 'verified'`);
        }
        if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
            return invalid(`timeoutMs: ${show(timeoutMs)} is not a number of milliseconds`);
        }
        if (signal !== undefined && !isSignal(signal)) return invalid(`signal: ${show(signal)} is not an AbortSignal`);
        if (signal?.aborted) return Promise.reject(new PicoSyncError('aborted', 'The signal is aborted.', signal.reason));

        let clear = () => {};
        const reached = new Promise<ClientState>((resolve, reject) => {
            const look = () => {
                const state = this.#state;
                if (state?.consensus === 'established' && (trust !== 'verified' || state.trust === 'verified')) resolve(state);
            };
            const abort = () => reject(new PicoSyncError('aborted', 'The signal was aborted.', signal?.reason));
            const timer =
                timeoutMs === undefined || timeoutMs > LONGEST_TIMEOUT
                    ? undefined
                    : setTimeout(() => reject(new PicoSyncError('timeout', this.#notReady(timeoutMs))), timeoutMs);
            clear = () => {
                this.#watchers.delete(look);
                signal?.removeEventListener('abort', abort);
                clearTimeout(timer);
            };
            this.#watchers.add(look);
            signal?.addEventListener('abort', abort);
            this.#refresh();
            look();
        });
        return this.#bound(reached, clear);
    }

    /** The peers connected now. */
    peers(): PeerInfo[] {
        const core = this.#core;
        if (!core || !this.#instance || this.#closing) return [];
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
        const core = this.#core;
        if (this.#over) throw this.#over;
        if (!core || !this.#instance || this.#closing) throw closed();
        this.#instance.call(() => core.setLogLevel(level));
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
            const farewell = this.#instance?.call(() => this.#core?.close());
            await Promise.race([farewell, patience, this.#untilOver]);
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
        this.#instance?.end(reason);
        this.#worker = this.#instance = this.#core = undefined;
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
        this.#events.emit(event as SyncEvent);
        if (this.#refreshing) return;
        // Not at once: the core is in the middle of something when it hands out an event.
        this.#refreshing = true;
        queueMicrotask(() => {
            this.#refreshing = false;
            this.#refresh();
            for (const look of this.#watchers) look();
        });
    }

    /** Takes a snapshot, so that the last one is at hand when no more can be taken. */
    #refresh(): void {
        const core = this.#core;
        if (!core || this.#closing) return;
        try {
            const state = this.#instance?.call(() => core.state());
            if (state) this.#state = state;
        } catch (error) {
            // Only a crash can bring this about, and that has been dealt with.
            this.#finish(toPicoSyncError(error, 'crashed'));
        }
    }

    /** A call to the core that takes a while. */
    #ask<T>(call: (core: ClientCore) => Promise<T>): Promise<T> {
        const core = this.#core;
        if (!core || !this.#instance || this.#closing) return Promise.reject(this.#over ?? closed());
        try {
            return this.#bound(this.#instance.call(() => call(core)));
        } catch (error) {
            return Promise.reject(error);
        }
    }

    /** `work`, but rejecting when the client ends, also if it never comes back. `clear` runs once it has settled. */
    #bound<T>(work: Promise<T>, clear: () => void = () => {}): Promise<T> {
        let reject: (error: PicoSyncError) => void = () => {};
        const over = new Promise<never>((_, fail) => (reject = fail));
        if (this.#over || this.#closing) reject(this.#over ?? closed());
        else this.#pending.add(reject);
        const result = Promise.race([work, over]).catch((error: unknown) => {
            throw toPicoSyncError(error, 'crashed');
        });
        return result.finally(() => {
            this.#pending.delete(reject);
            clear();
        });
    }

    #notReady(afterMs: number): string {
        const state = this.#state;
        const found = state ? `${state.consensus}, trust ${state.trust}, ${state.goodPeers} good of ${state.peers} peers` : 'not started';
        return `Not ready after ${afterMs} ms: ${found}.`;
    }
}

function defaultWorker(): Worker {
    return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'pico-sync' });
}

/** Resolves in a task of its own, soon also in a page out of sight, where timers are held back. */
function nextTask(): Promise<void> {
    return new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => {
            port1.close();
            resolve();
        };
        port2.postMessage(null);
    });
}

function closed(): PicoSyncError {
    return new PicoSyncError('closed', 'The client is closed.');
}

function invalid(message: string): Promise<never> {
    return Promise.reject(new PicoSyncError('invalid-options', message));
}

function show(value: unknown): string {
    return typeof value === 'string' ? `'${value}'` : String(value);
}

function isSignal(value: unknown): value is AbortSignal {
    const signal = value as Partial<AbortSignal> | null;
    return typeof signal?.aborted === 'boolean' && typeof signal.addEventListener === 'function';
}

/** Where log records go: to the page's function, else to the console. */
function logSink(logger?: (record: LogRecord) => void): Bridge['log'] {
    if (!logger) {
        return (level, target, message) => {
            const method = level === 'trace' ? 'debug' : level;
            console[method](`${target}: ${message}`);
        };
    }
    return (level, target, message) => {
        // Not at once: the core is in the middle of something, and the page's function may call it.
        queueMicrotask(() => {
            try {
                logger({ level, target, message });
            } catch (error) {
                // The page's own error, shown as such.
                if (typeof reportError === 'function') reportError(error);
                else console.error(error);
            }
        });
    };
}
