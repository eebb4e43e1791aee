// Transactions as an async iterator: one is fetched when one is asked for, so nothing piles up here.

import type { TransactionDetails } from './types.js';

type Result = IteratorResult<TransactionDetails, undefined>;

/** Where an iterator gets its transactions. */
export interface TransactionSource {
    /** The next one; `undefined` after the last. Called again only once it has settled. */
    next(): Promise<TransactionDetails | undefined>;
    /** Nothing more is wanted. Called once. */
    free(): void;
}

/** See the head of this file. Calls of `next()` are served one after the other. */
export class TransactionIterator implements AsyncIterableIterator<TransactionDetails> {
    #source: TransactionSource | undefined;
    /** Ends the wait for the next one. */
    #leave: () => void = () => {};
    /** Settles when everyone before has been served. */
    #queue: Promise<unknown> = Promise.resolve();

    constructor(source: TransactionSource) {
        this.#source = source;
    }

    next(): Promise<Result> {
        const result = this.#queue.then(() => this.#pull());
        // Who asked gets the error; the next one in the queue has nothing to do with it.
        this.#queue = result.catch(() => {});
        return result;
    }

    async #pull(): Promise<Result> {
        if (!this.#source) return { done: true, value: undefined };
        const left = new Promise<undefined>((resolve) => (this.#leave = () => resolve(undefined)));
        let value: TransactionDetails | undefined;
        try {
            value = await Promise.race([this.#source.next(), left]);
        } finally {
            // Over, be it in order or by an error.
            if (!value) this.#free();
        }
        return value ? { done: false, value } : { done: true, value };
    }

    return(): Promise<Result> {
        this.#leave();
        this.#free();
        return Promise.resolve({ done: true, value: undefined });
    }

    throw(error: unknown): Promise<Result> {
        void this.return();
        return Promise.reject(error);
    }

    [Symbol.asyncIterator](): this {
        return this;
    }

    #free(): void {
        this.#source?.free();
        this.#source = undefined;
    }
}
