// One client and what is known of it: everything the page shows, and nothing of how it looks.

import type { ClientOptions, ClientState, PicoSyncClient, SyncEvent } from 'pico-sync-client';

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

/** How many peers that left, blocks and events are kept: a page may stay open for days. */
const GONE_PEERS = 12;
const BLOCKS = 48;
const EVENTS = 400;

export class Session {
    state?: ClientState;
    error?: unknown;
    fallbacks = 0;
    trustVia?: string;
    /** What was last heard of election-chain proofs. */
    zkp?: ZkpEvent;
    readonly milestones = new Map<Milestone, number>();
    readonly peers = new Map<string, PeerRow>();
    /** Newest last. */
    blocks: Block[] = [];
    /** Newest last. */
    readonly events: SyncEvent[] = [];
    /** Counts every event, as `events` forgets old ones. */
    eventCount = 0;

    #client?: PicoSyncClient;
    #closed = false;
    readonly #startedAt: number;
    readonly #changed: (event?: SyncEvent) => void;

    /** `startedAt`: what the milestones are counted from, in `performance.now()`'s time. */
    constructor(startedAt: number, changed: (event?: SyncEvent) => void) {
        this.#startedAt = startedAt;
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
            this.refresh();
            for await (const event of events) this.#take(event);
        } catch (error) {
            this.error = error;
        }
        this.refresh();
    }

    /** The client, while it can be asked. */
    get client(): PicoSyncClient | undefined {
        return this.running ? this.#client : undefined;
    }

    get running(): boolean {
        return this.#client !== undefined && this.error === undefined && this.state?.consensus !== 'closed';
    }

    async close(): Promise<void> {
        this.#closed = true;
        await this.#client?.close();
        this.refresh();
    }

    /** Reads the client's snapshot; called on every event and now and then for the traffic. */
    refresh(event?: SyncEvent): void {
        const client = this.#client;
        if (client && this.error === undefined) {
            this.state = client.state;
            for (const peer of client.peers()) {
                const row = this.#row(peer.peerId, peer.address, peer.transport);
                row.connected = true;
                row.rttMs = peer.rttMs;
                row.services = peer.services;
                row.outcome = peer.outcome ?? row.outcome;
            }
            if (this.state.trust === 'verified' && this.state.consensus === 'established') this.#reach('verified');
        }
        this.#changed(event);
    }

    #take(event: SyncEvent): void {
        this.eventCount += 1;
        this.events.push(event);
        if (this.events.length > EVENTS) this.events.shift();

        switch (event.type) {
            case 'peer-joined':
                this.#reach('peer');
                Object.assign(this.#row(event.peerId, event.address, event.transport), { connected: true, reason: undefined });
                break;
            case 'peer-left': {
                const row = this.peers.get(event.peerId);
                if (row) Object.assign(row, { connected: false, reason: event.reason, rttMs: undefined });
                this.#forgetPeers();
                break;
            }
            case 'macro-sync':
                Object.assign(this.#row(event.peerId), { outcome: event.outcome, reason: event.reason });
                break;
            case 'macro-block':
                this.#reach('head');
                this.#addBlock(event.blockNumber, event.hash, event.election ? 'election' : 'checkpoint');
                break;
            case 'head':
                this.#reach('head');
                if (event.reverted.length) this.blocks = this.blocks.filter(({ hash }) => !event.reverted.includes(hash));
                this.#addBlock(event.blockNumber, event.hash, 'micro');
                break;
            case 'fallback':
                this.fallbacks += 1;
                this.trustVia = undefined;
                break;
            case 'zkp':
                this.zkp = event;
                break;
            case 'trust':
                this.trustVia = event.via;
                break;
            case 'consensus':
                if (event.state === 'established') this.#reach('established');
                break;
        }
        this.refresh(event);
    }

    #reach(milestone: Milestone): void {
        if (!this.milestones.has(milestone)) this.milestones.set(milestone, performance.now() - this.#startedAt);
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
