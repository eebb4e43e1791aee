// Events from one source to any number of readers, each with a bounded buffer of its own.
//
// Lives on this side of the wasm boundary, so that readers can still be told when the instance behind
// them has crashed.

import type { PicoSyncError } from './error.js';
import type { SyncEvent } from './types.js';

/**
 * Events that one reader may leave unread. Beyond it the oldest are dropped and counted, and the reader gets one
 * `lagged` event in their place. A sync is some hundred events; a following client makes a few a second.
 */
export const READER_CAPACITY = 256;

type Waiter = {
    resolve(result: IteratorResult<SyncEvent, undefined>): void;
    reject(error: PicoSyncError): void;
};

/** How a source ended: in order, or with an error that each reader gets once. */
type End = { error?: PicoSyncError };

/** Where events come in, and where readers subscribe. */
export class EventHub {
    readonly #readers = new Set<Reader>();
    #end: End | undefined;

    /** Hands `event` to every reader. Never waits and never throws. */
    emit(event: SyncEvent): void {
        if (this.#end) return;
        for (const reader of this.#readers) reader.push(event);
    }

    /** A reader of everything from now on; of nothing but the end once that has come. */
    subscribe(): AsyncIterableIterator<SyncEvent> {
        const reader = new Reader(() => this.#readers.delete(reader));
        if (this.#end) reader.finish(this.#end);
        else this.#readers.add(reader);
        return reader;
    }

    /** Ends every reader, after what it has not read yet: with `error`, or in order. */
    end(error?: PicoSyncError): void {
        if (this.#end) return;
        this.#end = error ? { error } : {};
        for (const reader of this.#readers) reader.finish(this.#end);
        this.#readers.clear();
    }
}

class Reader implements AsyncIterableIterator<SyncEvent> {
    #buffer: SyncEvent[] = [];
    #missed = 0;
    #waiters: Waiter[] = [];
    #end: End | undefined;
    readonly #unsubscribe: () => void;

    constructor(unsubscribe: () => void) {
        this.#unsubscribe = unsubscribe;
    }

    push(event: SyncEvent): void {
        const waiter = this.#waiters.shift();
        if (waiter) return waiter.resolve({ done: false, value: event });
        this.#buffer.push(event);
        if (this.#buffer.length > READER_CAPACITY) {
            const dropped = this.#buffer.shift();
            // Events that the engine itself had to drop count too.
            this.#missed += dropped?.type === 'lagged' ? dropped.missed : 1;
        }
    }

    finish(end: End): void {
        this.#end = end;
        // Whoever waits has read everything: the first one gets the error, the others the end.
        for (const waiter of this.#waiters.splice(0)) {
            if (this.#end.error) {
                waiter.reject(this.#end.error);
                this.#end = {};
            } else {
                waiter.resolve({ done: true, value: undefined });
            }
        }
    }

    next(): Promise<IteratorResult<SyncEvent, undefined>> {
        if (this.#missed > 0) {
            const value: SyncEvent = { type: 'lagged', missed: this.#missed, at: Date.now() };
            this.#missed = 0;
            return Promise.resolve({ done: false, value });
        }
        const value = this.#buffer.shift();
        if (value) return Promise.resolve({ done: false, value });
        if (!this.#end) return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
        const { error } = this.#end;
        this.#end = {};
        return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
    }

    return(): Promise<IteratorResult<SyncEvent, undefined>> {
        this.#unsubscribe();
        this.#buffer = [];
        this.#missed = 0;
        this.finish({});
        return Promise.resolve({ done: true, value: undefined });
    }

    throw(error: unknown): Promise<IteratorResult<SyncEvent, undefined>> {
        void this.return();
        return Promise.reject(error);
    }

    [Symbol.asyncIterator](): this {
        return this;
    }
}
