// What outlives a page: records in IndexedDB, one database per origin, kept apart by network.
//
// The core makes the records and judges them; here they are bytes. Several tabs share the database: a record of an
// older state never replaces one of a newer, and the identity is used by one client at a time, the others have one of
// their own. Nothing that goes wrong here is fatal: without storage, a client is only slower at its next start.

import type { RecordName, Saved, Stored } from './core.js';
import { PicoSyncError, describe } from './error.js';
import type { Network, UnlistedEvent } from './types.js';
import { invalid, show, within } from './wait.js';

/** Its name, which nobody else at this origin should use. */
const DATABASE = 'pico-sync';
const VERSION = 1;
const STORE = 'records';
const NETWORKS: readonly string[] = ['main-albatross', 'test-albatross', 'dev-albatross', 'unit-albatross'] satisfies Network[];
/** How long the database may take to open and be read. A client that waits for it has not even begun to dial. Milliseconds. */
const OPEN_TIMEOUT = 2_000;
/** How long forgetting may take, and writing what is left when a client closes. Milliseconds. */
const WRITE_TIMEOUT = 5_000;
/** No record is larger, by far. Bytes. */
const MAX_BYTES = 1024 * 1024;

/** What is said of a record, or of the storage as a whole. */
export type Notice = Omit<Extract<UnlistedEvent, { type: 'storage' }>, 'type' | 'at'>;

/** A record as it lies in the database. */
interface Entry {
    network: string;
    /** Or `chain-mark`, which holds no bytes: the newest macro block ever stored. */
    record: RecordName | 'chain-mark';
    bytes?: Uint8Array;
    /** Of a chain, or of the mark. */
    blockNumber?: number;
}

/** The records of one client. */
export class ClientStorage {
    #network = '';
    readonly #writing = new Set<Promise<void>>();
    readonly #notices: Notice[] = [];
    #report: ((notice: Notice) => void) | undefined;
    #database: IDBDatabase | undefined;
    #releaseIdentity: (() => void) | undefined;
    #stored: Stored = {};

    /**
     * Opens the storage that `options` ask for and reads what is in it. Never rejects: what goes wrong is a notice, and
     * the storage is empty. Options that make no sense are left to the core to refuse.
     */
    static async open(options: { network?: unknown; storage?: unknown } | undefined): Promise<ClientStorage> {
        const storage = new ClientStorage();
        try {
            storage.#network = String(options?.network ?? 'main-albatross');
            const kind = options?.storage ?? undefined;
            // Some browsers don't even let a page look whether there is one.
            const wanted = kind === 'indexeddb' || (kind === undefined && databases() !== undefined);
            if (!wanted || !NETWORKS.includes(storage.#network)) return storage;
            // Late or never: either way the client goes on without.
            await within(OPEN_TIMEOUT, storage.#open(), () => storage.#abandon());
        } catch (error) {
            storage.#abandon();
            storage.#say({ status: 'unavailable', reason: describe(error) });
        }
        return storage;
    }

    /** What an earlier run left behind. */
    get stored(): Stored {
        return this.#stored;
    }

    /** Whether the identity is this client's to keep. */
    get keepsIdentity(): boolean {
        return this.#database !== undefined && this.#releaseIdentity !== undefined;
    }

    /** Whether anything is kept. */
    get works(): boolean {
        return this.#database !== undefined;
    }

    /** Has notices told to `report`, also those of the past. */
    listen(report: (notice: Notice) => void): void {
        this.#report = report;
        for (const notice of this.#notices.splice(0)) report(notice);
    }

    /** Keeps a record. The chain is kept only if there is none that ends at the same block or a later one. */
    save(record: RecordName, { bytes, blockNumber }: Saved): void {
        this.#write((store) => {
            const entry: Entry = { network: this.#network, record, bytes, ...(blockNumber !== undefined && { blockNumber }) };
            if (record !== 'chain') {
                store.put(entry);
                return;
            }
            const reading = store.get([this.#network, 'chain-mark']) as IDBRequest<Entry | undefined>;
            reading.onsuccess = () => {
                const newest = reading.result?.blockNumber;
                if (blockNumber === undefined || (newest !== undefined && newest >= blockNumber)) return;
                store.put(entry);
                store.put({ network: this.#network, record: 'chain-mark', blockNumber } satisfies Entry);
            };
        });
    }

    /** Forgets a record that is of no use. */
    discard(record: RecordName): void {
        this.#write((store) => {
            store.delete([this.#network, record]);
            if (record === 'chain') store.delete([this.#network, 'chain-mark']);
        });
    }

    /** Resolves when all that was to be written is, or can't be. */
    async close(): Promise<void> {
        if (this.#writing.size > 0) {
            const written = Promise.all(this.#writing).then(() => undefined);
            await within(WRITE_TIMEOUT, written, () => {}).catch(() => {});
        }
        this.#abandon();
    }

    /** Forgets everything of a network. */
    static async clear(network: Network): Promise<void> {
        if (!NETWORKS.includes(network)) throw invalid(`network: ${show(network)} is not one of ${NETWORKS.join(', ')}`);
        let database: IDBDatabase | undefined;
        try {
            // Without a database there is nothing to forget.
            if (!databases()) return;
            const clearing = (async () => {
                database = await openDatabase();
                await transaction(database, 'readwrite', (store) => store.delete(allOf(network)));
            })();
            await within(WRITE_TIMEOUT, clearing, () => database?.close());
        } catch (error) {
            throw new PicoSyncError('storage', `What is stored for ${network} could not be cleared: ${describe(error)}`, error);
        } finally {
            database?.close();
        }
    }

    async #open(): Promise<void> {
        const [database, release] = await Promise.all([openDatabase(), lockIdentity(this.#network)]);
        this.#database = database;
        this.#releaseIdentity = release;
        // Another tab runs a later release, and changes the layout: this one must not stand in its way.
        database.onversionchange = () => this.#fail('another tab changes its layout');
        database.onclose = () => this.#fail('the browser closed it');
        let entries: Entry[] = [];
        await transaction(database, 'readonly', (store) => {
            const reading = store.getAll(allOf(this.#network)) as IDBRequest<Entry[]>;
            reading.onsuccess = () => (entries = reading.result);
        });
        for (const entry of entries) this.#take(entry);
    }

    /** Looks at a record's wrapping; what is inside is the core's to judge. */
    #take({ record, bytes, blockNumber }: Entry): void {
        if (record === 'chain-mark') {
            if (typeof blockNumber === 'number' && Number.isInteger(blockNumber) && blockNumber >= 0) this.#stored.chainAtLeast = blockNumber;
        } else if (record === 'identity' || record === 'contacts' || record === 'chain') {
            if (record === 'identity' && !this.#releaseIdentity) return;
            if (bytes instanceof Uint8Array && bytes.length <= MAX_BYTES) {
                this.#stored[record] = bytes;
            } else {
                this.#say({ status: 'discarded', record, reason: 'it is no record' });
                this.discard(record);
            }
        }
    }

    #write(work: (store: IDBObjectStore) => void): void {
        const database = this.#database;
        if (!database) return;
        const writing = transaction(database, 'readwrite', work).catch((error: unknown) => this.#fail(describe(error)));
        this.#writing.add(writing);
        void writing.then(() => this.#writing.delete(writing));
    }

    /** From now on nothing is kept. */
    #fail(reason: string): void {
        if (!this.#database) return;
        this.#abandon();
        this.#say({ status: 'unavailable', reason });
    }

    #abandon(): void {
        const database = this.#database;
        this.#database = undefined;
        if (database) {
            database.onversionchange = database.onclose = null;
            database.close();
        }
        this.#releaseIdentity?.();
        this.#releaseIdentity = undefined;
    }

    #say(notice: Notice): void {
        if (this.#report) this.#report(notice);
        else this.#notices.push(notice);
    }
}

function allOf(network: string): IDBKeyRange {
    // Arrays come after all strings.
    return IDBKeyRange.bound([network], [network, []]);
}

/** The browser's databases: not every context has any. Throws where a page may not ask for them. */
function databases(): IDBFactory | undefined {
    return (typeof indexedDB === 'undefined' ? undefined : indexedDB) ?? undefined;
}

function openDatabase(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
        const factory = databases();
        if (!factory) throw new Error('there is no IndexedDB here');
        const opening = factory.open(DATABASE, VERSION);
        opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: ['network', 'record'] });
        opening.onsuccess = () => resolve(opening.result);
        opening.onerror = () => reject(opening.error ?? new Error('it can\'t be opened'));
        opening.onblocked = () => reject(new Error('another tab has it open in an older layout'));
    });
}

/** Does `work` in a transaction. Resolves once it is committed. */
function transaction(database: IDBDatabase, mode: IDBTransactionMode, work: (store: IDBObjectStore) => void): Promise<void> {
    return new Promise((resolve, reject) => {
        // Not to lose a page that is about to close is worth more than to survive a crash of the machine.
        const doing = database.transaction(STORE, mode, { durability: 'relaxed' });
        doing.oncomplete = () => resolve();
        doing.onabort = () => reject(doing.error ?? new Error('the transaction was aborted'));
        work(doing.objectStore(STORE));
    });
}

/** Takes the identity for as long as nobody calls the function that comes back; `undefined` if it is taken. */
function lockIdentity(network: string): Promise<(() => void) | undefined> {
    return new Promise<(() => void) | undefined>((resolve, reject) => {
        // Only secure contexts have locks. Without, no two tabs could tell that they use the same.
        const locks = typeof navigator === 'undefined' ? undefined : navigator.locks;
        if (!locks) return resolve(undefined);
        const held = locks.request(`${DATABASE}/${network}/identity`, { ifAvailable: true }, (lock) =>
            lock ? new Promise<void>((release) => resolve(release)) : resolve(undefined),
        );
        held.catch(reject);
        // Not permitted here: then there is none to be had.
    }).catch(() => undefined);
}
