// One instance of the wasm, together with everything it has open.
//
// A panic poisons an instance: its memory may be half-written, so nothing may call it again, and nothing it
// opened will be closed by it. Each client therefore has an instance of its own, the instance gets its sockets,
// timers and microtasks through here, and every call into it is watched.

import { instantiate, type Core } from './core.js';
import { PicoSyncError, describe, toPicoSyncError } from './error.js';
import { soon } from './task.js';

type Timer = ReturnType<typeof globalThis.setTimeout>;
type Exports = WebAssembly.Exports;

/** What instances find under the names of globals, where it is to be something else, or where there is nothing. */
export type HostGlobals = { readonly WebSocket?: typeof WebSocket | undefined; readonly [name: string]: unknown };

/** What a callback into an instance that is over returns: the glue looks for an error at some index, and finds none. */
const NOTHING: readonly never[] = Object.freeze([]);

/** An instance of the wasm that can be ended from outside at any time, whatever state it is in. */
export class Instance {
    readonly #sockets = new Set<WebSocket>();
    readonly #timeouts = new Set<Timer>();
    readonly #intervals = new Set<Timer>();
    readonly #onCrash: (error: PicoSyncError) => void;
    readonly #host: HostGlobals;
    #core: Core | undefined;
    #panic: string | undefined;
    /** Why nothing may be called any more. */
    #over: PicoSyncError | undefined;
    /** Calls of ours in progress, which want an exception; callbacks from the event loop have nobody to tell. */
    #calls = 0;
    #depth = 0;
    #lastSoon = 0;

    private constructor(onCrash: (error: PicoSyncError) => void, host: HostGlobals) {
        this.#onCrash = onCrash;
        this.#host = host;
    }

    /**
     * A new instance of `module`. `onCrash` is called at most once, when it has panicked or trapped; by then
     * everything it had open is closed. The globals of `host` are what it finds in place of the real ones.
     */
    static async start(module: WebAssembly.Module, onCrash: (error: PicoSyncError) => void, host: HostGlobals = {}): Promise<Instance> {
        const instance = new Instance(onCrash, host);
        const core = await instantiate(module, {
            globals: instance.#globals(),
            guard: (exports) => instance.#guard(exports),
        });
        instance.#core = core;
        instance.call(() => core.setPanicHandler((message) => (instance.#panic = message)));
        return instance;
    }

    /** Calls into the instance. Throws `PicoSyncError` only: what the call threw, or why it can't be made. */
    call<T>(work: (core: Core) => T): T {
        if (this.#over) throw this.#over;
        if (!this.#core) throw new PicoSyncError('crashed', 'The client has not started.');
        this.#calls += 1;
        try {
            return work(this.#core);
        } catch (error) {
            throw this.#over ?? toPicoSyncError(error, 'crashed');
        } finally {
            this.#calls -= 1;
        }
    }

    /** Closes everything that is open. Nothing runs in the instance afterwards. */
    end(reason: PicoSyncError): void {
        if (this.#over) return;
        this.#over = reason;
        for (const socket of this.#sockets) {
            socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null;
            socket.close();
        }
        for (const timer of this.#timeouts) clearTimeout(timer);
        for (const timer of this.#intervals) clearInterval(timer);
        this.#sockets.clear();
        this.#timeouts.clear();
        this.#intervals.clear();
        this.#core = undefined;
    }

    #crash(thrown: unknown): void {
        if (this.#over) return;
        const error = new PicoSyncError('crashed', `The client crashed: ${this.#panic ?? describe(thrown)}`, thrown);
        this.end(error);
        this.#onCrash(error);
    }

    /**
     * The exports, each of which notices when it doesn't come back in order.
     *
     * Errors that the core means to throw are thrown by the glue, after the call. So whatever comes out of the wasm itself is
     * a trap, or a foreign exception that has skipped its frames: in both cases it is not to be used again.
     */
    #guard(exports: Exports): Exports {
        const guarded: Record<string, WebAssembly.ExportValue> = {};
        for (const [name, value] of Object.entries(exports)) {
            guarded[name] = typeof value === 'function' ? this.#guarded(value) : value;
        }
        return guarded;
    }

    #guarded(call: Function): Function {
        return (...args: unknown[]): unknown => {
            if (this.#over) {
                if (this.#calls > 0) throw this.#over;
                return NOTHING;
            }
            this.#depth += 1;
            try {
                return call(...args);
            } catch (error) {
                this.#crash(error);
                if (this.#calls > 0 || this.#depth > 1) throw error;
                // A callback: the crash has been reported where it belongs, the page need not see it as its own error.
                return NOTHING;
            } finally {
                this.#depth -= 1;
            }
        };
    }

    /**
     * A timer of no time at all: that is how the wasm gives the page its thread back. The page's own would take some ms, and a
     * second in a page out of sight.
     */
    #soon(work: () => void): Timer {
        // Below zero, where no real timer is.
        const timer = (this.#lastSoon -= 1) as unknown as Timer;
        this.#timeouts.add(timer);
        soon(() => {
            if (this.#timeouts.delete(timer)) work();
        });
        return timer;
    }

    /** What the glue sees in place of the page's globals: the same, but remembering what is open. */
    #globals(): Record<string, unknown> {
        const overrides = this.#overrides();
        // Of the same kind as the real one, but not the real one itself: of what a page has frozen there, a proxy may show nothing else.
        const overlay = new Proxy(Object.create(Object.getPrototypeOf(globalThis)) as object, {
            get: (_, name) => {
                if (typeof name === 'string' && Object.hasOwn(overrides, name)) return overrides[name];
                const value: unknown = Reflect.get(globalThis, name);
                // The browser's own methods insist on their real `this`; classes have a prototype and don't.
                return typeof value === 'function' && value.prototype === undefined ? value.bind(globalThis) : value;
            },
            has: (_, name) => Reflect.has(globalThis, name),
        });
        return {
            ...overrides,
            globalThis: overlay,
            self: typeof self === 'undefined' ? undefined : overlay,
            window: typeof window === 'undefined' ? undefined : overlay,
        };
    }

    #overrides(): Record<string, unknown> {
        const sockets = this.#sockets;
        const Socket =
            this.#host.WebSocket &&
            class extends this.#host.WebSocket {
                constructor(url: string | URL, protocols?: string | string[]) {
                    super(url, protocols);
                    sockets.add(this);
                    this.addEventListener('close', () => sockets.delete(this));
                }
            };
        const clear = (timers: Set<Timer>, stop: (timer: Timer) => void) => (timer: Timer) => {
            timers.delete(timer);
            stop(timer);
        };
        return {
            ...this.#host,
            WebSocket: Socket,
            setTimeout: (work: (...args: unknown[]) => void, ms?: number, ...args: unknown[]): Timer => {
                if (!ms) return this.#soon(() => work(...args));
                // Numbers, also in Node: the wasm knows no others.
                const timer: Timer = +setTimeout(() => {
                    this.#timeouts.delete(timer);
                    work(...args);
                }, ms);
                this.#timeouts.add(timer);
                return timer;
            },
            setInterval: (work: (...args: unknown[]) => void, ms?: number, ...args: unknown[]): Timer => {
                const timer: Timer = +setInterval(work, ms, ...args);
                this.#intervals.add(timer);
                return timer;
            },
            clearTimeout: clear(this.#timeouts, (timer) => clearTimeout(timer)),
            clearInterval: clear(this.#intervals, (timer) => clearInterval(timer)),
            queueMicrotask: (work: () => void): void =>
                queueMicrotask(() => {
                    if (!this.#over) work();
                }),
        };
    }
}
