// What the wallet keeps in the browser's IndexedDB: sealed secrets, the public side of accounts, what was last known of
// them, and settings. Knows no key and opens nothing; what is in the records is for `vault.ts` and the state modules.

import type { KdfParameters, Sealed } from './crypto.js';

/** How the password becomes the key of this vault. */
export interface VaultRecord {
    version: 1;
    kdf: KdfParameters;
    salt: Uint8Array<ArrayBuffer>;
    /** Changes with each password, so that another tab knows that its key is of no use any more. */
    revision: string;
}

/** A secret. `key`: the 32 bytes of a private key; `words`: a mnemonic; `check`: nothing, to try a password on. */
export interface SecretRecord {
    version: 1;
    /** Of a key: its address. */
    id: string;
    kind: 'key' | 'words' | 'check';
    createdAt: number;
    sealed: Sealed;
    /** Of `sealed` and what it is bound to. */
    checksum: string;
}

/** What of an account is no secret. */
export interface AccountRecord {
    /** User-friendly. */
    address: string;
    label: string;
    /** `watch`: without a key. */
    kind: 'key' | 'watch';
    /** The mnemonic that its key was derived from, and how. */
    words?: { id: string; path: string };
    createdAt: number;
}

/** What was last known of something on a network, to be shown until more is. */
export interface CacheRecord {
    key: string;
    value: unknown;
}

/** All there is, as it was at one time. */
export interface Contents {
    vault?: VaultRecord;
    secrets: SecretRecord[];
    accounts: AccountRecord[];
}

/** What is done at once, or not at all. */
export interface Change {
    /** `null`: there is none any more. */
    vault?: VaultRecord | null;
    secrets?: SecretRecord[];
    forgetSecrets?: string[];
    accounts?: AccountRecord[];
    forgetAccounts?: string[];
}

/** The browser does not keep what it is given. The message is for people. */
export class StorageError extends Error {
    override readonly name = 'StorageError';
}
/** Another tab has changed the vault meanwhile. */
export class OutdatedError extends Error {
    override readonly name = 'OutdatedError';
}

const NAME = 'pico-wallet';
const STORES = { vault: undefined, secrets: 'id', accounts: 'address', cache: 'key', settings: undefined } as const;
type StoreName = keyof typeof STORES;
const VAULT_KEY = 'vault';

let opening: Promise<IDBDatabase> | undefined;

/** Opens the database; once, until the browser closes it. */
function database(): Promise<IDBDatabase> {
    opening ??= new Promise<IDBDatabase>((resolve, reject) => {
        if (!globalThis.indexedDB) throw new Error('no IndexedDB');
        const request = indexedDB.open(NAME, 1);
        request.onupgradeneeded = () => {
            for (const [name, keyPath] of Object.entries(STORES)) request.result.createObjectStore(name, keyPath ? { keyPath } : undefined);
        };
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
            const db = request.result;
            // Evicted, or deleted by the user in another tab: the next use opens it anew.
            db.onclose = () => (opening = undefined);
            db.onversionchange = () => {
                db.close();
                opening = undefined;
            };
            resolve(db);
        };
    }).catch((error: unknown) => {
        opening = undefined;
        throw readable(error);
    });
    return opening;
}

/** A transaction that `work` starts all requests of. Resolves with what `work` gave, once all of it is on disk. */
async function transaction<T>(names: StoreName[], mode: IDBTransactionMode, work: (store: (name: StoreName) => IDBObjectStore, abort: (why: Error) => void) => T): Promise<T> {
    const db = await database();
    return new Promise<T>((resolve, reject) => {
        let why: Error | undefined;
        try {
            const running = db.transaction(names, mode, { durability: 'strict' });
            const result = work(
                (name) => running.objectStore(name),
                (reason) => {
                    why = reason;
                    running.abort();
                },
            );
            running.oncomplete = () => resolve(result);
            running.onabort = () => reject(why ?? readable(running.error));
        } catch (error) {
            reject(readable(error));
        }
    });
}

/** Everything but the cache. */
export async function load(): Promise<Contents> {
    const contents: Contents = { secrets: [], accounts: [] };
    await transaction(['vault', 'secrets', 'accounts'], 'readonly', (store) => {
        const vault = store('vault').get(VAULT_KEY);
        const secrets = store('secrets').getAll();
        const accounts = store('accounts').getAll();
        vault.onsuccess = () => (contents.vault = vault.result as VaultRecord | undefined);
        secrets.onsuccess = () => (contents.secrets = secrets.result as SecretRecord[]);
        accounts.onsuccess = () => (contents.accounts = accounts.result as AccountRecord[]);
    });
    return contents;
}

/**
 * Makes a change, all of it or nothing, provided the vault is still that of `revision` (`undefined`: there is none). Throws
 * `OutdatedError` if it is not.
 */
export async function change(wanted: Change, revision: string | undefined): Promise<void> {
    await transaction(['vault', 'secrets', 'accounts'], 'readwrite', (store, abort) => {
        const current = store('vault').get(VAULT_KEY);
        current.onsuccess = () => {
            if ((current.result as VaultRecord | undefined)?.revision !== revision) {
                abort(new OutdatedError('The wallet was changed in another tab meanwhile.'));
                return;
            }
            if (wanted.vault) store('vault').put(wanted.vault, VAULT_KEY);
            else if (wanted.vault === null) store('vault').delete(VAULT_KEY);
            for (const record of wanted.secrets ?? []) store('secrets').put(record);
            for (const id of wanted.forgetSecrets ?? []) store('secrets').delete(id);
            for (const record of wanted.accounts ?? []) store('accounts').put(record);
            for (const address of wanted.forgetAccounts ?? []) store('accounts').delete(address);
        };
    });
}

/** What was cached under `key`. */
export async function cached(key: string): Promise<unknown> {
    const request = await transaction(['cache'], 'readonly', (store) => store('cache').get(key));
    return (request.result as CacheRecord | undefined)?.value;
}

/** Caches `value`; `undefined` forgets what there is. */
export async function cache(key: string, value: unknown): Promise<void> {
    await transaction(['cache'], 'readwrite', (store) => {
        if (value === undefined) store('cache').delete(key);
        else store('cache').put({ key, value } satisfies CacheRecord);
    });
}

/** Forgets whatever is cached under keys that `matches` picks. */
export async function forgetCached(matches: (key: string) => boolean): Promise<void> {
    await transaction(['cache'], 'readwrite', (store) => {
        const keys = store('cache').getAllKeys();
        keys.onsuccess = () => {
            for (const key of keys.result) if (matches(String(key))) store('cache').delete(key);
        };
    });
}

export async function setting(name: string): Promise<unknown> {
    return (await transaction(['settings'], 'readonly', (store) => store('settings').get(name))).result;
}

export async function setSetting(name: string, value: unknown): Promise<void> {
    await transaction(['settings'], 'readwrite', (store) => void store('settings').put(value, name));
}

/** Asks the browser not to evict what is kept here when room gets scarce. Resolves with whether it won't. */
export async function persist(): Promise<boolean> {
    return (await navigator.storage?.persist?.()) ?? false;
}

/** Whether the browser has promised not to evict what is kept here. */
export async function isPersistent(): Promise<boolean> {
    return (await navigator.storage?.persisted?.()) ?? false;
}

function readable(error: unknown): Error {
    if (error instanceof StorageError || error instanceof OutdatedError) return error;
    const name = (error as { name?: string } | null)?.name;
    const message =
        name === 'QuotaExceededError'
            ? 'There is no room left in this browser’s storage. Free some, and try again.'
            : name === 'VersionError'
              ? 'A newer version of this wallet has been used here. Reload the page to get it.'
              : 'This browser does not let this page store anything. A private window may be the reason, or the settings for site data.';
    return new StorageError(message, { cause: error });
}
