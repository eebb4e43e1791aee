// One client and what is known of it: everything the page shows of the sync, and nothing of how it looks.

import type { ClientOptions, ClientState, PicoSyncClient, SyncEvent, UnlistedEvent } from 'pico-sync-client';

import type { ZkpEvent } from '../lib/format.js';

export type PeerRow = {
    peerId: string;
    address: string;
    transport: string;
    connected: boolean;
    outcome?: string;
    /** Why the outcome is what it is, or why the peer left. */
    reason?: string;
    rttMs?: number;
    services: string[];
};

export type Milestone = 'peer' | 'head' | 'established' | 'verified';

export type Block = { blockNumber: number; hash: string; kind: 'micro' | 'checkpoint' | 'election' };

/** A block that ends a batch, and how far it could be trusted when it was last told of. */
export type MacroBlock = { blockNumber: number; hash: string; epoch: number; election: boolean; trust: string; at: number };

/** The client gave up what it had adopted. */
export type Fallback = {
    at: number;
    /** The peer whose answer didn't fit. */
    peerId?: string;
    reason: string;
    /** What was believed until then. */
    given?: MacroBlock;
    /** When a newer block was proven, how, and how long the check took in ms, if it was a proof's. */
    proven?: { at: number; via: 'zkp' | 'signatures'; blockNumber: number; ms?: number };
    /** Who was thrown out for what they said. */
    banned: { peerId: string; at: number; reason?: string }[];
    /** When enough peers agreed again, on what is proven. */
    recovered?: number;
};

/** What the client's trust rests on. */
export type TrustInfo = Extract<SyncEvent, { type: 'trust' }>;

/** Bytes that came and went within a second that ended `at`. */
export type Traffic = { at: number; received: number; sent: number };

/** How many peers that left, blocks, events and seconds of traffic are kept: a page may stay open for days. */
const GONE_PEERS = 12;
const BLOCKS = 64;
const MACRO_BLOCKS = 12;
const EVENTS = 400;
const SECONDS = 90;

export class Session {
    state?: ClientState;
    error?: unknown;
    /** Unix ms. */
    readonly startedAt = Date.now();
    /** When it first took a peer's word for the chain, Unix ms. */
    adoptedAt?: number;
    /** Oldest first. */
    readonly fallbacks: Fallback[] = [];
    trust?: TrustInfo;
    /** What was last heard of election-chain proofs. */
    zkp?: ZkpEvent;
    /** The trusted block that proofs are asked from; not known before one is asked for. */
    anchor?: number;
    /** Whom it could not reach, while it has no peer. */
    unreachable = 0;
    /** Since when nothing came, while that is so. */
    stall?: Extract<SyncEvent, { type: 'stalled' }>;
    readonly milestones = new Map<Milestone, number>();
    readonly peers = new Map<string, PeerRow>();
    /** Newest last. */
    blocks: Block[] = [];
    /** Of the chain that is followed now, newest last. */
    macros: MacroBlock[] = [];
    /** Newest last. */
    readonly traffic: Traffic[] = [];
    /** Newest last. */
    readonly events: SyncEvent[] = [];
    /** Counts every event, as `events` forgets old ones. */
    eventCount = 0;

    #client?: PicoSyncClient;
    #closed = false;
    readonly #from: number;
    readonly #changed: (event?: SyncEvent) => void;

    /** `from`: what the milestones are counted from, in `performance.now()`'s time. */
    constructor(from: number, changed: (event?: SyncEvent) => void) {
        this.#from = from;
        this.#changed = changed;
    }

    /** Creates the client and follows it to its end; failures end up in `error`. */
    async run(options: ClientOptions): Promise<void> {
        try {
            // Not before it is needed: the page is there before the wasm is.
            const { PicoSyncClient } = await import('pico-sync-client');
            const client = await PicoSyncClient.create(options);
            if (this.#closed) return await client.close();
            this.#client = client;
            const events = client.events();
            this.read();
            this.#changed();
            for await (const event of events) this.#take(event);
        } catch (error) {
            this.error = error;
        }
        this.read();
        this.#changed();
    }

    /** The client, while it can be asked. */
    get client(): PicoSyncClient | undefined {
        return this.running ? this.#client : undefined;
    }

    get running(): boolean {
        return this.#client !== undefined && this.error === undefined && this.state?.consensus !== 'closed';
    }

    /** Between a fallback and the time that enough peers agree on what is proven: no peer is believed. */
    get inDispute(): boolean {
        const last = this.fallbacks.at(-1);
        return last !== undefined && last.recovered === undefined && this.running;
    }

    async close(): Promise<void> {
        this.#closed = true;
        await this.#client?.close();
        this.read();
        this.#changed();
    }

    /** Reads the client's snapshot. That takes longer than an event does, so it is for whoever draws to call, before it does. */
    read(): void {
        const client = this.#client;
        if (!client || this.error !== undefined) return;
        this.state = client.state;
        for (const peer of client.peers()) {
            const row = this.#row(peer.peerId, peer.address, peer.transport);
            row.connected = true;
            row.rttMs = peer.rttMs;
            row.services = peer.services;
            row.outcome = peer.outcome ?? row.outcome;
        }
        if (this.state.consensus === 'established') {
            this.#reach('established');
            if (this.state.trust === 'verified') this.#reach('verified');
        }
    }

    /** Notes what came and went since the last call; to be called once a second. */
    sample(): void {
        this.read();
        this.#changed();
        if (!this.state || !this.running) return;
        const { bytesReceived, bytesSent } = this.state;
        const before = this.#counted;
        this.#counted = { received: bytesReceived, sent: bytesSent };
        this.traffic.push({ at: Date.now(), received: bytesReceived - before.received, sent: bytesSent - before.sent });
        if (this.traffic.length > SECONDS) this.traffic.shift();
    }

    #counted = { received: 0, sent: 0 };

    #take(event: SyncEvent | UnlistedEvent): void {
        this.eventCount += 1;
        this.events.push(event as SyncEvent);
        if (this.events.length > EVENTS) this.events.shift();

        switch (event.type) {
            case 'dial-failed':
                if (!this.state?.peers) this.unreachable += 1;
                break;
            case 'peer-joined':
                this.unreachable = 0;
                this.#reach('peer');
                Object.assign(this.#row(event.peerId, event.address, event.transport), { connected: true, reason: undefined });
                break;
            case 'peer-left': {
                const row = this.peers.get(event.peerId);
                // That it lied says more than that the connection to it ended.
                if (row?.outcome === 'conflicting') this.fallbacks.at(-1)?.banned.push({ peerId: event.peerId, at: event.at, reason: row.reason });
                if (row) Object.assign(row, { connected: false, rttMs: undefined, reason: row.outcome === 'conflicting' && row.reason ? row.reason : event.reason });
                this.#forgetPeers();
                break;
            }
            case 'macro-sync':
                Object.assign(this.#row(event.peerId), { outcome: event.outcome, reason: event.reason });
                break;
            case 'macro-block':
                this.stall = undefined;
                this.adoptedAt ??= event.at;
                this.#reach('head');
                this.#addBlock(event.blockNumber, event.hash, event.election ? 'election' : 'checkpoint');
                this.#addMacro(event);
                break;
            case 'head':
                this.stall = undefined;
                this.#reach('head');
                if (event.reverted.length) this.blocks = this.blocks.filter(({ hash }) => !event.reverted.includes(hash));
                this.#addBlock(event.blockNumber, event.hash, 'micro');
                break;
            case 'fallback':
                // The newest election block is what a lie would be about.
                this.fallbacks.push({ at: event.at, peerId: event.peerId, reason: event.reason, given: this.macros.findLast(({ election }) => election) ?? this.macros.at(-1), banned: [] });
                this.trust = undefined;
                this.macros = [];
                this.blocks = [];
                break;
            case 'zkp':
                // Peers without proofs say so at any time; it is no news once one of another peer is at hand.
                if (event.status !== 'unavailable' || !event.peerId || this.zkp?.status === 'requested') this.zkp = event;
                if (event.status === 'requested') this.anchor = event.blockNumber;
                if (event.status === 'verified') this.#proven(event.at, 'zkp', event.blockNumber ?? 0, event.ms);
                break;
            case 'trust':
                this.trust = event;
                if (event.level === 'verified' && (event.via === 'zkp' || event.via === 'signatures')) this.#proven(event.at, event.via, event.blockNumber);
                if (event.level === 'verified') for (const macro of this.macros) if (macro.blockNumber <= event.blockNumber) macro.trust = 'verified';
                break;
            case 'stalled':
                this.stall = event;
                break;
            case 'consensus':
                if (event.state === 'established') {
                    this.stall = undefined;
                    this.#reach('established');
                    const fallback = this.fallbacks.at(-1);
                    if (fallback && this.trust?.level === 'verified') fallback.recovered ??= event.at;
                }
                break;
        }
        this.#changed(event as SyncEvent);
    }

    #proven(at: number, via: 'zkp' | 'signatures', blockNumber: number, ms?: number): void {
        const fallback = this.fallbacks.at(-1);
        if (fallback) fallback.proven ??= { at, via, blockNumber, ms };
    }

    #reach(milestone: Milestone): void {
        if (!this.milestones.has(milestone)) this.milestones.set(milestone, performance.now() - this.#from);
    }

    #row(peerId: string, address = '', transport = ''): PeerRow {
        let row = this.peers.get(peerId);
        if (!row) {
            row = { peerId, address, transport, connected: false, services: [] };
            this.peers.set(peerId, row);
        }
        row.address ||= address;
        row.transport ||= transport;
        return row;
    }

    #forgetPeers(): void {
        const gone = [...this.peers.values()].filter(({ connected }) => !connected);
        for (const { peerId } of gone.slice(0, -GONE_PEERS)) this.peers.delete(peerId);
    }

    #addMacro({ type: _, ...macro }: Extract<SyncEvent, { type: 'macro-block' }>): void {
        this.macros = this.macros.filter(({ hash, blockNumber }) => hash !== macro.hash && blockNumber !== macro.blockNumber);
        this.macros.push(macro);
        this.macros.sort((a, b) => a.blockNumber - b.blockNumber);
        if (this.macros.length > MACRO_BLOCKS) this.macros.shift();
    }

    /** A macro block is announced twice, as one and as a head: the kind that says more stays. */
    #addBlock(blockNumber: number, hash: string, kind: Block['kind']): void {
        const known = this.blocks.find((block) => block.hash === hash);
        if (known) {
            if (known.kind === 'micro') known.kind = kind;
            return;
        }
        this.blocks.push({ blockNumber, hash, kind });
        this.blocks.sort((a, b) => a.blockNumber - b.blockNumber);
        if (this.blocks.length > BLOCKS) this.blocks.shift();
    }
}
