// The public API as it was promised. `check.ts` holds the package's own typings against it.

export type Network = 'main-albatross' | 'test-albatross' | 'dev-albatross' | 'unit-albatross';
export type SyncMode = 'pico' | 'light';
export type Transport = 'websocket' | 'webrtc';

/** How far the current macro state can be trusted. */
export type Trust =
    /** Adopted from peers with the minimal checks of pico macro sync. */
    | 'optimistic'
    /** Proven from genesis or a pinned election block, by ZKP or by validator signatures. */
    | 'verified';

export interface ClientOptions {
    /** Default `'main-albatross'`. */
    network?: Network;
    /** Multiaddrs dialled first. Default: the network's public seed nodes.
     *  `/ip4|ip6|dns4|dns6/<host>/tcp/<port>/ws|wss[/p2p/<id>]` and
     *  `/ip4|ip6/<host>/udp/<port>/webrtc-direct/certhash/<hash>[/p2p/<id>]`. */
    peers?: string[];
    /** Default `'pico'`: optimistic, falling back to light. `'light'` verifies from the start. */
    mode?: SyncMode;
    /** After an optimistic sync, prove it in the background and raise `trust` to `'verified'`. Default true. */
    verifyInBackground?: boolean;
    /** Good peers needed before consensus counts as established. Default 3. */
    minPeers?: number;
    /** Peers to hold once established. Default 8. */
    desiredPeers?: number;
    /** Transports that may be used. Default: every one this context supports. */
    transports?: Transport[];
    /** Where identity, peer contacts and the last verified macro state survive a reload.
     *  Default `'indexeddb'` where there is one, else `'memory'`. */
    storage?: 'indexeddb' | 'memory';
    /** Trusted start for light sync and background verification, in place of the built-in one. */
    checkpoint?: { blockNumber: number; hash: string };
    /** Verifying key of the network's election-chain proof, in place of the built-in one. */
    verifyingKey?: Uint8Array;
    /** Makes the verification worker, for pages whose bundler or CSP needs its own. */
    worker?: () => Worker;
    /** Default `'warn'`. Can be changed later with `setLogLevel`. */
    logLevel?: LogLevel;
    /** Receives log records instead of the console. */
    logger?: (record: { level: LogLevel; target: string; message: string }) => void;
    /** Aborting it closes the client. */
    signal?: AbortSignal;
}
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'off';

export interface Head { blockNumber: number; hash: string; timestamp: number; }

/** A snapshot: cheap, synchronous, never half-updated. */
export interface ClientState {
    consensus: 'connecting' | 'syncing' | 'established' | 'offline' | 'closed';
    trust: Trust;
    head: Head;
    macroHead: Head;
    electionHead: Head & { epoch: number };
    peers: number;
    goodPeers: number;
    syncer: 'pico' | 'light';
    bytesReceived: number;
    bytesSent: number;
}

/** Every event has `type` and `at` (Unix ms). Unknown types must be ignored by users: more may come. */
export type SyncEvent = { at: number } & (
    | { type: 'peer-joined'; peerId: string; address: string; transport: Transport }
    | { type: 'peer-left'; peerId: string; reason: string }
    /** What macro sync made of one peer. */
    | { type: 'macro-sync'; outcome: 'good' | 'outdated' | 'incompatible' | 'conflicting'; peerId: string; reason?: string }
    | { type: 'macro-block'; blockNumber: number; hash: string; epoch: number; election: boolean; trust: Trust }
    /** The syncer went from pico to light: which peer and what made it. */
    | { type: 'fallback'; from: 'pico'; to: 'light'; peerId?: string; reason: string }
    | { type: 'zkp'; status: 'requested' | 'verifying' | 'verified' | 'rejected' | 'unavailable'; blockNumber?: number; peerId?: string; ms?: number; reason?: string }
    | { type: 'trust'; level: Trust; via: 'peers' | 'zkp' | 'signatures' | 'storage'; blockNumber: number }
    | { type: 'consensus'; state: ClientState['consensus'] }
    | { type: 'head'; kind: 'extended' | 'rebranched'; blockNumber: number; hash: string; adopted: string[]; reverted: string[] }
    /** Nothing arrived for too long: what is being done about it. Never a silent stall. */
    | { type: 'stalled'; forMs: number; action: 'redial' | 'restart-network' | 'resync' }
    /** A slow reader missed this many events; its iterator goes on with the newest. */
    | { type: 'lagged'; missed: number }
);

export class PicoSyncClient implements AsyncIterable<SyncEvent> {
    /** Starts the client and its verification worker. Rejects with `PicoSyncError` on bad options. */
    static create(options?: ClientOptions): Promise<PicoSyncClient>;

    /** A new, independent iterator from now on. `break`/`return()` unsubscribes. Ends when the client
     *  closes; throws `PicoSyncError` if the client crashed. Slow readers get `lagged`, never unbounded memory. */
    events(): AsyncIterableIterator<SyncEvent>;
    [Symbol.asyncIterator](): AsyncIterableIterator<SyncEvent>;

    readonly state: ClientState;
    /** Resolves when consensus is established; with `{ trust: 'verified' }`, once that holds too. */
    ready(options?: { trust?: Trust; signal?: AbortSignal; timeoutMs?: number }): Promise<ClientState>;

    /** Proven against the state root of a block the client holds. An address never seen is a basic account of 0. */
    getAccount(address: string): Promise<Account>;
    getAccounts(addresses: string[]): Promise<Account[]>;
    getValidator(address: string): Promise<Validator | undefined>;
    getStaker(address: string): Promise<Staker | undefined>;
    /** Elected for the current epoch, with slot counts. */
    getElectedValidators(): Promise<{ address: string; slots: number; firstSlot: number }[]>;
    /** From the client's chain, else fetched from peers and proven against the election head. */
    getBlock(hashOrNumber: string | number): Promise<Block>;
    /** With an inclusion proof checked; `undefined` if no peer can prove it. */
    getTransaction(hash: string): Promise<TransactionDetails | undefined>;
    /** Newest first, each proven before it is yielded. */
    transactionsByAddress(address: string, options?: { limit?: number; startAt?: string; sinceBlock?: number }): AsyncIterableIterator<TransactionDetails>;
    /** Included transactions that touch the addresses, as they happen, each proven. */
    watchAddresses(addresses: string[]): AsyncIterableIterator<TransactionDetails>;
    /** Broadcasts a signed, serialised transaction. Resolves once a peer accepted it; follow it with `watchAddresses`
     *  or `waitForTransaction`. Invalid ones are rejected locally before anything is sent. */
    sendTransaction(raw: Uint8Array | string): Promise<TransactionDetails>;
    waitForTransaction(hash: string, options?: { confirmations?: 'included' | 'finalized'; signal?: AbortSignal; timeoutMs?: number }): Promise<TransactionDetails>;

    peers(): { peerId: string; address: string; transport: Transport; rttMs?: number; outcome?: string; services: string[] }[];
    connect(multiaddr: string): Promise<void>;
    disconnect(peerId: string): Promise<void>;
    setLogLevel(level: LogLevel): void;
    /** Forgets everything stored for this network. */
    static clearStorage(network: Network): Promise<void>;
    /** Closes connections, worker, timers, listeners. Idempotent. Pending calls reject with code `closed`. */
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}

export type ErrorCode =
    | 'invalid-options' | 'invalid-address' | 'invalid-transaction' | 'unsupported'
    | 'no-peers' | 'timeout' | 'proof-invalid' | 'not-found' | 'aborted' | 'closed'
    | 'storage' | 'worker' | 'crashed';
/** Every rejection and every thrown error of this package. */
export class PicoSyncError extends Error { readonly code: ErrorCode; readonly cause?: unknown; }

export interface Account { address: string; type: 'basic' | 'vesting' | 'htlc' | 'staking'; balance: bigint; blockNumber: number; trust: Trust; details?: Record<string, unknown>; }
export interface Validator { address: string; signingKey: string; votingKey: string; rewardAddress: string; deposit: bigint; totalStake: bigint; numStakers: number; retired: boolean; inactiveFrom?: number; jailedFrom?: number; }
export interface Staker { address: string; balance: bigint; delegation?: string; inactiveBalance: bigint; inactiveFrom?: number; retiredBalance: bigint; }
export interface Block { blockNumber: number; hash: string; type: 'micro' | 'macro'; election: boolean; epoch: number; batch: number; timestamp: number; parentHash: string; stateHash: string; historyHash: string; version: number; }
export interface TransactionDetails {
    hash: string; sender: string; recipient: string; value: bigint; fee: bigint; data: string; flags: number;
    validityStartHeight: number; format: 'basic' | 'extended';
    state: 'pending' | 'included' | 'finalized' | 'expired' | 'failed';
    blockNumber?: number; timestamp?: number; confirmations?: number; executed?: boolean;
}
