// The one client of this page: where it connects to, and what became of it, as signals. What the events of a client mean
// is left to `session.ts`, what accounts make of them to the other modules here.

import { computed, signal } from '@preact/signals';
import type { ClientOptions, ClientState, Network, PicoSyncClient, SyncEvent, SyncMode } from 'pico-sync-client';

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

/** What the user asked for, in place of what the page would do by itself. */
export interface Wishes {
    network: Network;
    mode: SyncMode;
    /** Multiaddrs; none for the network's own. */
    peers: string[];
}

/** `undefined` until it is known whether there is one; `null` where there is none. */
export const devnet = signal<Devnet | null | undefined>(undefined);
/** Kept in this browser. */
export const wishes = signal<Wishes | undefined>(wishesIn(recall('connection')));
/** The network that accounts and payments are of. */
export const network = computed<Network>(() => wishes.value?.network ?? devnet.value?.network ?? 'main-albatross');
/** The devnet beside this page, while that is the network. */
export const ownDevnet = computed<Devnet | undefined>(() => (devnet.value?.network === network.value ? devnet.value : undefined));
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
/** What the last client was asked for, beyond the usual. */
export const lastOptions = signal<ClientOptions>({});

/** How often what has no event is looked at, in ms. */
const SAMPLE = 1000;

/** Finds out about the devnet, if this page is served by one, and starts a client. Counted from the navigation. */
export async function start(): Promise<void> {
    setInterval(() => session.peek()?.sample(), SAMPLE);
    devnet.value = await loadDevnet();
    await connect({}, 0);
}

/** Ends the client there was, if any, and starts one. `options` go over those that the user or the devnet asks for. */
export async function connect(options: ClientOptions = {}, startedAt = performance.now()): Promise<void> {
    const previous = session.peek();
    const mine = new Session(startedAt, (event) => {
        if (session.peek() !== mine) return;
        schedule();
        if (event) announce(event);
    });
    session.value = mine;
    lastOptions.value = options;
    beat.value += 1;
    await previous?.close();
    if (session.peek() === mine) void mine.run({ ...usual(), ...options });
}

/** The session as it is now, for what is drawn of it: who reads it so is drawn again when it changes. */
export function live(of: Session): Session {
    void beat.value;
    return of;
}

/** Ends the client; there is none until `connect`. */
export async function disconnect(): Promise<void> {
    await session.peek()?.close();
}

/** Keeps what the user asks for, `undefined` for nothing, and connects accordingly. */
export async function wish(wanted: Wishes | undefined): Promise<void> {
    wishes.value = wanted;
    remember('connection', wanted);
    await connect();
}

/** How long the first client has at most, in ms. */
const SETTLED = 20_000;

/** Resolves when the first client is through with what one waits for: it is established, or failed, or takes too long. */
export async function firstSettled(): Promise<void> {
    let stop = () => {};
    await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, SETTLED);
        stop = beat.subscribe(() => {
            const { milestones, error } = session.peek() ?? {};
            if (error === undefined && !milestones?.has('established')) return;
            clearTimeout(late);
            resolve();
        });
    });
    stop();
}

/** What a client is made with if nothing else is said. */
function usual(): ClientOptions {
    const wanted = wishes.peek();
    const local = ownDevnet.peek();
    const options: ClientOptions = { network: network.peek() };
    if (local) {
        options.peers = local.peers;
        const digits = local.verifyingKey?.match(/../g);
        if (digits) options.verifyingKey = Uint8Array.from(digits, (two) => parseInt(two, 16));
    }
    if (wanted?.peers.length) options.peers = wanted.peers;
    if (wanted) options.mode = wanted.mode;
    return options;
}

/** For scripts that watch the page, such as `npm start -- --headless`. */
function announce(event: SyncEvent): void {
    document.dispatchEvent(new CustomEvent('pico-sync-event', { detail: event }));
}

/** A page that isn't shown has no frames, but what follows the client goes on. In ms. */
const UNSEEN_FRAME = 250;

let scheduled = false;
/** Many events may come at once; the page is drawn once a frame for all of them. */
function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    const draw = () => {
        if (!scheduled) return;
        scheduled = false;
        cancelAnimationFrame(frame);
        clearTimeout(timer);
        session.peek()?.read();
        beat.value += 1;
    };
    const frame = requestAnimationFrame(draw);
    const timer = setTimeout(draw, UNSEEN_FRAME);
}

/**
 * The devnet that serves this page says where its nodes are; a page hosted elsewhere has none. Offline it is what was said
 * last: the accounts in this browser are of that network, whether it can be reached or not.
 */
async function loadDevnet(): Promise<Devnet | null> {
    let response;
    try {
        response = await fetch('devnet.json', { cache: 'no-store' });
    } catch (error) {
        console.info('whether there is a devnet can’t be asked, so it is as it was:', error);
        return recall<Devnet>('devnet') ?? null;
    }
    const there = response.ok && response.headers.get('content-type')?.startsWith('application/json');
    let found: Devnet | undefined;
    try {
        found = there ? ((await response.json()) as Devnet) : undefined;
    } catch (error) {
        console.info('what is said of a devnet can’t be read, so there is none:', error);
    }
    remember('devnet', found);
    return found ?? null;
}

/** What was kept, if it is what this version keeps. Whether a client can be made with it is the client's to say. */
function wishesIn(kept: Partial<Wishes> | undefined): Wishes | undefined {
    const { network, mode, peers } = kept ?? {};
    return network && mode && Array.isArray(peers) ? { network, mode, peers } : undefined;
}

/** Nothing secret is kept this way. Browsers that keep nothing for this page are no reason to fail. */
function remember(key: string, value: unknown): void {
    try {
        if (value === undefined) localStorage.removeItem(`pico-sync-${key}`);
        else localStorage.setItem(`pico-sync-${key}`, JSON.stringify(value));
    } catch (error) {
        console.info('this browser keeps no settings for this page:', error);
    }
}

function recall<T>(key: string): T | undefined {
    try {
        return JSON.parse(localStorage.getItem(`pico-sync-${key}`) ?? 'null') ?? undefined;
    } catch (error) {
        console.info('this browser has no settings for this page:', error);
        return undefined;
    }
}
