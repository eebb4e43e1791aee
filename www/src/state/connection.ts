// The one client of this page: where it connects to, and what became of it, as signals. What the events of a client mean
// is left to `session.ts`, what accounts make of them to the other modules here.

import { computed, signal } from '@preact/signals';
import type { ClientOptions, ClientState, Network, PicoSyncClient, SyncEvent } from 'pico-sync-client';

import { Session } from './session.js';

/** What the server of this page says of the devnet next to it. */
export interface Devnet {
    network: Network;
    peers: string[];
    /** In hex, where proofs are not made with the network's own keys. */
    verifyingKey?: string;
    /** Where test money can be had. */
    faucet?: string;
    /** Where the lying peer is turned on. */
    liar?: string;
}

/** `undefined` until it is known whether there is one; `null` where there is none. */
export const devnet = signal<Devnet | null | undefined>(undefined);
/** The network that accounts and payments are of. */
export const network = computed<Network>(() => devnet.value?.network ?? 'main-albatross');
/** The session that is on; its fields change without notice, `beat` tells when. */
export const session = signal<Session | undefined>(undefined);
/** Counts changes of the session. */
export const beat = signal(0);
/** The client's snapshot, `undefined` before there is one. */
export const clientState = computed<ClientState | undefined>(() => (beat.value, session.value?.state));
/** Why there is no client any more, if it failed. */
export const failure = computed<unknown>(() => (beat.value, session.value?.error));
/** The client, once it is made; `undefined` while there is none to ask. */
export const client = computed<PicoSyncClient | undefined>(() => (beat.value, session.value?.client));

/** Finds out about the devnet, if this page is served by one, and starts a client. Counted from the navigation. */
export async function start(): Promise<void> {
    devnet.value = await loadDevnet();
    await connect({}, 0);
}

/** Ends the client there was, if any, and starts one. `options` go over those that the devnet asks for. */
export async function connect(options: ClientOptions = {}, startedAt = performance.now()): Promise<void> {
    const previous = session.peek();
    const mine = new Session(startedAt, (event) => {
        if (session.peek() !== mine) return;
        schedule();
        if (event) announce(event);
    });
    session.value = mine;
    beat.value += 1;
    await previous?.close();
    const own: ClientOptions = {};
    const local = devnet.peek();
    if (local) {
        own.network = local.network;
        own.peers = local.peers;
        const digits = local.verifyingKey?.match(/../g);
        if (digits) own.verifyingKey = Uint8Array.from(digits, (two) => parseInt(two, 16));
    }
    if (session.peek() === mine) void mine.run({ ...own, ...options });
}

/** For scripts that watch the page, such as `npm start -- --headless`. */
function announce(event: SyncEvent): void {
    document.dispatchEvent(new CustomEvent('pico-sync-event', { detail: event }));
}

let scheduled = false;
/** Many events may come at once; the page is drawn once for all of them. */
function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(() => {
        scheduled = false;
        beat.value += 1;
    });
}

/** The devnet that serves this page says where its nodes are; a page hosted elsewhere has none. */
async function loadDevnet(): Promise<Devnet | null> {
    try {
        const response = await fetch('devnet.json');
        if (!response.ok || !response.headers.get('content-type')?.startsWith('application/json')) return null;
        return (await response.json()) as Devnet;
    } catch (error) {
        console.info('no devnet here, using the main network:', error);
        return null;
    }
}
