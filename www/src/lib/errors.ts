// Every error in plain words. What an error is for code to act on is its `code`; here is what it is for people.

import type { ErrorCode, PicoSyncError } from 'pico-sync-client';

const WORDS: Record<ErrorCode, string> = {
    'invalid-options': 'That can’t be read.',
    'invalid-address': 'This is not a Nimiq address: a character is wrong or missing.',
    'invalid-transaction': 'No node would take this transaction.',
    unsupported: 'This browser lacks something that is needed for this.',
    'no-peers': 'No peer of the network can be reached just now. Check your connection, and try again.',
    timeout: 'Nobody answered in time. Try again.',
    'proof-invalid': 'What peers answered could not be proven, so it was not believed. Try again.',
    'not-found': 'The network does not know this.',
    aborted: 'It was stopped.',
    closed: 'The connection to the network was closed meanwhile. Try again.',
    storage: 'This browser does not keep what it is given.',
    worker: 'The background work that checks proofs can’t run here.',
    crashed: 'The client stopped because of an error in it. Reload the page.',
};
/** Codes whose messages say more than the words above, in a sentence that people can read. */
const OWN_MESSAGE = new Set<ErrorCode>(['invalid-options', 'invalid-transaction', 'unsupported']);

/** Also behind a portal, which answers everything with its own page. */
const NOT_LOADED = 'A part of this page could not be loaded. Check your connection, and try again.';

/** Known by its name: the class itself comes with the package, which is loaded late. */
export function isClientError(error: unknown): error is PicoSyncError {
    return error instanceof Error && error.name === 'PicoSyncError' && 'code' in error;
}

/** What happened, as a sentence. */
export function inWords(error: unknown): string {
    if (isClientError(error)) {
        const words = WORDS[error.code] ?? error.message;
        return OWN_MESSAGE.has(error.code) && error.message ? error.message : words;
    }
    // Errors of this page's own have messages for people.
    if (error instanceof Error && /^(VaultError|StorageError|OutdatedError|PaymentError|DevnetError)$/.test(error.name)) return error.message;
    if (error instanceof TypeError && /fetch|import|load/i.test(error.message)) return NOT_LOADED;
    return `Something unexpected happened: ${error instanceof Error ? error.message || error.name : String(error)}`;
}

/** Why there is no client, as a sentence. It has asked nobody yet: what it did not find is a file of its own. */
export function whyNoClient(error: unknown): string {
    return isClientError(error) && error.code === 'not-found' ? NOT_LOADED : inWords(error);
}
