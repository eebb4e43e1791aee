// Decides when what a client knows is written down: soon after it has changed, and at once when the page may be about
// to go.

import type { RecordName, Saved } from './core.js';
import type { ClientStorage } from './storage.js';
import type { SyncEvent, UnlistedEvent } from './types.js';

/** Between a change and the writing: macro blocks come in rows while a client catches up. Milliseconds. */
const DELAY = 1_000;

/** Writes down what one client knows. */
export class Keeper {
    readonly #storage: ClientStorage;
    readonly #read: (record: RecordName) => Saved | undefined;
    #timer: ReturnType<typeof setTimeout> | undefined;
    /** Whether the chain has changed since it was last read. */
    #chainChanged = false;
    #savedIdentity: boolean;

    /** `read` gets a record from the core; it throws when there is none to ask any more. */
    constructor(storage: ClientStorage, read: (record: RecordName) => Saved | undefined) {
        this.#storage = storage;
        this.#read = read;
        this.#savedIdentity = storage.stored.identity !== undefined;
    }

    /** Takes note of what a client reports. */
    see(event: SyncEvent | UnlistedEvent): void {
        switch (event.type) {
            case 'storage':
                if (event.status !== 'discarded' || !event.record) return;
                if (event.record === 'identity') this.#savedIdentity = false;
                this.#storage.discard(event.record);
                return this.#soon();
            case 'trust':
                if (event.level !== 'verified') return;
                // Seldom, and what a reload gains most from: what a page begins to write as it goes may get lost.
                this.#chainChanged = true;
                return this.#soon(0);
            case 'macro-block':
                if (event.trust === 'verified') this.#chainChanged = true;
                return this.#soon();
            case 'consensus':
                if (event.state === 'established') this.#soon();
                return;
        }
    }

    /** Writes now: there may be no later. */
    now(): void {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        if (!this.#storage.works) return;
        if (!this.#savedIdentity && this.#storage.keepsIdentity) this.#savedIdentity = this.#save('identity');
        this.#save('contacts');
        if (this.#chainChanged) {
            this.#chainChanged = false;
            this.#save('chain');
        }
    }

    /** Writes nothing any more. Resolves when the last record is written. */
    end(): Promise<void> {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        return this.#storage.close();
    }

    #save(record: RecordName): boolean {
        const saved = this.#read(record);
        if (saved) this.#storage.save(record, saved);
        return saved !== undefined;
    }

    /** Not at once: the core is in the middle of something when it reports. */
    #soon(delay = DELAY): void {
        if (!this.#storage.works) return;
        if (delay < DELAY) clearTimeout(this.#timer);
        else if (this.#timer !== undefined) return;
        this.#timer = setTimeout(() => this.now(), delay);
    }
}
