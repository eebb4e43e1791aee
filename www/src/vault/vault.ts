// The keys of this wallet, at rest and in use. While it is unlocked, what is held in memory is one `CryptoKey` that can't
// be read; a secret is opened for one use and wiped after it. The mnemonic's words are needed to derive further accounts
// and to show them to their owner, nothing else: payments are signed with the account's own key.
//
// Strings can't be wiped in JavaScript. So secrets are handled as bytes wherever the package allows it; the exceptions are
// the words while they are shown or parsed, and the password as it is typed.

import { batch, computed, signal } from '@preact/signals';

import { toHex } from '../lib/hex.js';
import { loadWallet, type KeyPair, type Mnemonic } from '../lib/wallet.js';
import { CURRENT_KDF, DamagedError, SALT_BYTES, WrongKeyError, checkParameters, checksum, deriveKey, passwordBytes, randomBytes, seal, unseal } from './crypto.js';
import { OutdatedError, StorageError, change, load, persist, type AccountRecord, type Change, type Contents, type SecretRecord, type VaultRecord } from './store.js';

/** Least characters of a password. */
export const MIN_PASSWORD = 8;
const CHECK = 'check';

/** Why something with the vault did not work. The message is for people. */
export class VaultError extends Error {
    override readonly name = 'VaultError';
    constructor(
        readonly code: 'wrong-password' | 'damaged' | 'locked' | 'unavailable' | 'outdated' | 'unknown' | 'exists',
        message: string,
        cause?: unknown,
    ) {
        super(message, { cause });
    }
}

/** `opening`: not yet known. `empty`: there are no secrets, so there is no password either. */
export type VaultStatus = 'opening' | 'unavailable' | 'empty' | 'locked' | 'unlocked';

/** A private key or words to be kept. The bytes are wiped by whoever made them. */
export type NewSecret = { kind: 'key' | 'words'; id: string; bytes: Uint8Array<ArrayBuffer> };

const contents = signal<Contents | undefined>(undefined);
/** A key, and the revision of the vault that it is of. */
type Unlocked = { key: CryptoKey; revision: string };
/** Only while it is unlocked. */
const unlocked = signal<Unlocked | undefined>(undefined);
/** Why nothing can be kept here, as a sentence. */
export const unavailable = signal<string | undefined>(undefined);

export const status = computed<VaultStatus>(() => {
    if (unavailable.value !== undefined) return 'unavailable';
    if (!contents.value) return 'opening';
    if (!contents.value.vault) return 'empty';
    return unlocked.value ? 'unlocked' : 'locked';
});
/** The accounts, oldest first. Public: known while locked, too. */
export const accountRecords = computed<AccountRecord[]>(() =>
    [...(contents.value?.accounts ?? [])].sort((a, b) => a.createdAt - b.createdAt || (a.address < b.address ? -1 : 1)),
);

/** What tabs tell each other. */
type Notice = 'locked' | 'changed';
const tabs = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel('pico-wallet');
tabs?.addEventListener('message', ({ data }: MessageEvent<Notice>) => {
    if (data === 'locked') unlocked.value = undefined;
    if (data === 'changed') void open();
});

/** Reads what there is. Never rejects: what is wrong is in `unavailable`. */
export async function open(): Promise<void> {
    try {
        // Without it there is neither a database nor encryption; said apart, as it is the host's to mend.
        if (!globalThis.crypto?.subtle) throw new StorageError('Keys can only be kept safe on a page that is served over https.');
        accept(await load());
    } catch (error) {
        unavailable.value = error instanceof Error ? error.message : String(error);
    }
}

/** What was read is what holds; a key of another password is of no use any more. */
function accept(read: Contents, key = unlocked.peek()): void {
    batch(() => {
        unlocked.value = key?.revision === read.vault?.revision ? key : undefined;
        contents.value = read;
        unavailable.value = undefined;
    });
}

/** Unlocks with the password. Throws `VaultError`: `wrong-password` or `damaged`. */
export async function unlock(password: string): Promise<void> {
    const { vault } = await current();
    if (!vault) return;
    unlocked.value = { key: await verifiedKey(password), revision: vault.revision };
}

/** Forgets the key; in every tab if `everywhere`. */
export function lock({ everywhere = true } = {}): void {
    unlocked.value = undefined;
    if (everywhere) tabs?.postMessage('locked' satisfies Notice);
}

/**
 * Keeps secrets and accounts, all or none. `password`: the new one if there is no vault yet; else the vault has to be
 * unlocked. Accounts that are here already keep their name and get the key.
 */
export async function add(secrets: NewSecret[], accounts: AccountRecord[], password?: string): Promise<void> {
    const now = await current();
    const wanted: Change = {};
    if (secrets.length) {
        let vault = now.vault;
        let key = unlocked.peek()?.key;
        const records: SecretRecord[] = [];
        if (!vault) {
            if (password === undefined) throw new VaultError('locked', 'The first key of a wallet needs a password.');
            ({ vault, key } = await freshVault(password));
            wanted.vault = vault;
            records.push(await sealedSecret(key, vault, { kind: 'check', id: CHECK, bytes: new Uint8Array() }));
        }
        if (!key) throw locked();
        for (const secret of secrets) records.push(await sealedSecret(key, vault, secret));
        wanted.secrets = records;
        wanted.accounts = accounts.map((account) => merged(account, now.accounts));
        await commit(wanted, now.vault?.revision, { key, revision: vault.revision });
        // Not to be evicted with the next spring cleaning, if that can be had. The wallet works without, and some browsers ask
        // the user, who may take their time.
        persist().catch((error: unknown) => console.info('the browser may evict this wallet when room gets scarce:', error));
    } else {
        await commit({ accounts: accounts.map((account) => merged(account, now.accounts)) }, now.vault?.revision);
    }
}

/** Gives an account another name. */
export async function rename(address: string, label: string): Promise<void> {
    const now = await current();
    const account = now.accounts.find((one) => one.address === address);
    if (!account) throw unknown();
    await commit({ accounts: [{ ...account, label }] }, now.vault?.revision);
}

/**
 * Forgets an account and its key; with the last one that was derived from them, the words; and with the last secret, the
 * password.
 */
export async function forget(address: string): Promise<void> {
    const now = await current();
    const account = now.accounts.find((one) => one.address === address);
    if (!account) throw unknown();
    const gone = new Set([address]);
    const { words } = account;
    if (words && !now.accounts.some((one) => one !== account && one.words?.id === words.id)) gone.add(words.id);
    const left = now.secrets.filter(({ id, kind }) => kind !== 'check' && !gone.has(id));
    const none = left.length === 0;
    if (none) gone.add(CHECK);
    await commit({ forgetAccounts: [address], forgetSecrets: [...gone], ...(none && { vault: null }) }, now.vault?.revision);
}

/** Forgets everything: every account, every key, the password. For who has forgotten it. */
export async function erase(): Promise<void> {
    const now = await current();
    const forgetSecrets = now.secrets.map(({ id }) => id);
    const forgetAccounts = now.accounts.map(({ address }) => address);
    await commit({ vault: null, forgetSecrets, forgetAccounts }, now.vault?.revision);
}

/** Seals everything anew under a new password, with the current parameters. Throws `VaultError` if the old one is wrong. */
export async function changePassword(from: string, to: string): Promise<void> {
    const now = await current();
    if (!now.vault) throw unknown();
    const old = await verifiedKey(from);
    const { vault, key } = await freshVault(to);
    const secrets: SecretRecord[] = [];
    for (const record of now.secrets) {
        const bytes = await opened(old, now.vault, record);
        try {
            secrets.push(await sealedSecret(key, vault, { kind: record.kind, id: record.id, bytes }, record.createdAt));
        } finally {
            bytes.fill(0);
        }
    }
    await commit({ vault, secrets }, now.vault.revision, { key, revision: vault.revision });
}

/** Calls `use` with the key pair of an account, and wipes it afterwards. */
export async function withKeyPair<T>(address: string, use: (pair: KeyPair) => T | Promise<T>): Promise<T> {
    const bytes = await secretOf(address, 'key');
    let pair: KeyPair | undefined;
    try {
        const { KeyPair } = await loadWallet();
        pair = KeyPair.fromPrivateKey(bytes);
        // It would sign for another account than the one it is kept for.
        if (pair.address !== address) throw new VaultError('damaged', 'The key that is stored for this account is not its key.');
        return await use(pair);
    } finally {
        pair?.free();
        bytes.fill(0);
    }
}

/** Calls `use` with a mnemonic, and wipes it afterwards. */
export async function withMnemonic<T>(id: string, use: (mnemonic: Mnemonic) => T | Promise<T>): Promise<T> {
    const bytes = await secretOf(id, 'words');
    let mnemonic: Mnemonic | undefined;
    try {
        const { Mnemonic } = await loadWallet();
        mnemonic = Mnemonic.parse(new TextDecoder().decode(bytes));
        return await use(mnemonic);
    } finally {
        mnemonic?.free();
        bytes.fill(0);
    }
}

/** A private key, or a mnemonic's words parted by spaces, to be shown to who knows the password. Wiped by the caller. */
export async function exported(kind: 'key' | 'words', id: string, password: string): Promise<Uint8Array<ArrayBuffer>> {
    const { vault, record } = await find(id, kind);
    return opened(await verifiedKey(password), vault, record);
}

async function secretOf(id: string, kind: 'key' | 'words'): Promise<Uint8Array<ArrayBuffer>> {
    const { vault, record } = await find(id, kind);
    const key = unlocked.peek();
    if (!key || key.revision !== vault.revision) throw locked();
    return opened(key.key, vault, record);
}

async function find(id: string, kind: 'key' | 'words'): Promise<{ vault: VaultRecord; record: SecretRecord }> {
    const { vault, secrets } = await current();
    const record = secrets.find((one) => one.id === id && one.kind === kind);
    if (!vault || !record) throw unknown();
    return { vault, record };
}

/** The key of the password, tried on the record that is there for that. */
async function verifiedKey(password: string): Promise<CryptoKey> {
    const { vault, secrets } = await current();
    const check = secrets.find(({ kind }) => kind === 'check');
    if (!vault) throw unknown();
    try {
        if (!check || vault.version !== 1) throw new DamagedError('The record that passwords are tried on is missing.');
        checkParameters(vault.kdf);
        await intact(vault, check);
    } catch (error) {
        throw damaged(error);
    }
    const key = await deriveKey(password, vault.salt, vault.kdf);
    await opened(key, vault, check);
    return key;
}

/** What a record seals. Tells a wrong key from a damaged record. */
async function opened(key: CryptoKey, vault: VaultRecord, record: SecretRecord): Promise<Uint8Array<ArrayBuffer>> {
    try {
        await intact(vault, record);
        return await unseal(key, record.sealed, binding(vault, record));
    } catch (error) {
        if (!(error instanceof WrongKeyError)) throw damaged(error);
        // The key has opened that one already: then it is not the password.
        if (record.kind !== 'check') throw damaged(error);
        throw new VaultError('wrong-password', 'This is not the password of this wallet.', error);
    }
}

async function intact(vault: VaultRecord, record: SecretRecord): Promise<void> {
    if (record.checksum !== (await checksum(record.sealed, binding(vault, record)))) throw new DamagedError('A checksum is wrong.');
}

async function sealedSecret(key: CryptoKey, vault: VaultRecord, secret: { kind: SecretRecord['kind']; id: string; bytes: Uint8Array<ArrayBuffer> }, createdAt = Date.now()): Promise<SecretRecord> {
    const about = { version: 1 as const, id: secret.id, kind: secret.kind, createdAt };
    const bound = binding(vault, about);
    const sealed = await seal(key, secret.bytes, bound);
    return { ...about, sealed, checksum: await checksum(sealed, bound) };
}

/** What a secret opens together with: it can't be passed off as another one, nor as one of another vault. */
function binding(vault: VaultRecord, { version, id, kind, createdAt }: Pick<SecretRecord, 'version' | 'id' | 'kind' | 'createdAt'>): unknown {
    return { version, id, kind, createdAt, vault };
}

async function freshVault(password: string): Promise<{ vault: VaultRecord; key: CryptoKey }> {
    const revision = toHex(randomBytes(16));
    const vault: VaultRecord = { version: 1, kdf: CURRENT_KDF, salt: randomBytes(SALT_BYTES), revision };
    return { vault, key: await deriveKey(password, vault.salt, vault.kdf) };
}

/** Writes, reads back, and tells the other tabs. `key`: of the vault that this change makes, from then on. */
async function commit(wanted: Change, revision: string | undefined, key?: Unlocked): Promise<void> {
    try {
        await change(wanted, revision);
        accept(await load(), key);
    } catch (error) {
        if (!(error instanceof OutdatedError)) throw new VaultError('unavailable', (error as Error).message, error);
        await open();
        throw new VaultError('outdated', `${error.message} Please try again.`, error);
    }
    tabs?.postMessage('changed' satisfies Notice);
}

async function current(): Promise<Contents> {
    if (!contents.peek()) await open();
    const now = contents.peek();
    if (!now) throw new VaultError('unavailable', unavailable.peek() ?? 'Nothing can be stored here.');
    return now;
}

/** What is known of an account already stays; what is new is added. */
function merged(account: AccountRecord, known: AccountRecord[]): AccountRecord {
    const before = known.find(({ address }) => address === account.address);
    if (!before) return account;
    return { ...before, kind: before.kind === 'key' ? 'key' : account.kind, words: before.words ?? account.words };
}

const locked = () => new VaultError('locked', 'The wallet is locked.');
const unknown = () => new VaultError('unknown', 'There is no such account in this wallet any more.');
const damaged = (cause: unknown) =>
    new VaultError('damaged', 'What is stored of this wallet is damaged, so it can’t be opened. Import your accounts again from their words or keys.', cause);

/** What is wrong with a new password, as a sentence. */
export function passwordProblem(password: string): string | undefined {
    // As many bytes as characters at least; people count characters.
    const bytes = passwordBytes(password);
    bytes.fill(0);
    const length = [...password].length;
    if (length < MIN_PASSWORD) return `Use at least ${MIN_PASSWORD} characters.`;
    if (/^(.)\1*$/u.test(password)) return 'Use more than one character over and over.';
    return undefined;
}
