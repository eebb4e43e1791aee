//! The public types of the npm package, as TypeScript has them. Between the two marks, the build script
//! takes them over into the package's typings as they stand.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
// <types>
/** Which chain to follow. */
export type Network = 'main-albatross' | 'test-albatross' | 'dev-albatross' | 'unit-albatross';
/** `'pico'`: optimistic, falling back to light. `'light'`: verified from the start. */
export type SyncMode = 'pico' | 'light';
/** How a peer is reached. */
export type Transport = 'websocket' | 'webrtc';
/** What is logged: records of this level and graver ones. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'off';
/** One log record. */
export interface LogRecord {
    /** How grave it is. */
    level: Exclude<LogLevel, 'off'>;
    /** The part of the client that says it. */
    target: string;
    /** For people. */
    message: string;
}

/** How far the current macro state can be trusted. */
export type Trust =
    /** Adopted from peers with the minimal checks of pico macro sync. */
    | 'optimistic'
    /** Proven from genesis or a pinned election block, by ZKP or by validator signatures. */
    | 'verified';

/** All optional; properties that are not listed here are ignored. */
export interface ClientOptions {
    /** Default `'main-albatross'`. */
    network?: Network;
    /** Multiaddrs dialled first. Default: the network's public seed nodes.
     *  `/ip4|ip6|dns4|dns6/<host>/tcp/<port>/ws|wss[/p2p/<id>]` and
     *  `/ip4|ip6/<host>/udp/<port>/webrtc-direct/certhash/<hash>[/p2p/<id>]`. Those whose transport is not
     *  available here are left out, unless none is left: that is `unsupported`. */
    peers?: string[];
    /** Default `'pico'`. */
    mode?: SyncMode;
    /** After an optimistic sync, prove it in the background and raise `trust` to `'verified'`. Default true. */
    verifyInBackground?: boolean;
    /** Good peers needed before consensus counts as established. 1 to 64, default 3 (or `desiredPeers` if less). */
    minPeers?: number;
    /** Peers to hold once established. 1 to 64, default 8 (or `minPeers` if more). */
    desiredPeers?: number;
    /** Transports that may be used. Default: every one this context supports. WebRTC exists on a page's main thread
     *  only. If none of them is available, that is `unsupported`. */
    transports?: Transport[];
    /** Where identity, peer contacts and the last verified macro state survive a reload.
     *  Default `'indexeddb'` where there is one, else `'memory'`. */
    storage?: 'indexeddb' | 'memory';
    /** Trusted start for light sync and background verification, in place of the built-in one. */
    checkpoint?: Checkpoint;
    /** Verifying key of the network's election-chain proof, in place of the built-in one: a file `<network>.vk` as
     *  `pico-node setup` writes it. Networks without a key are verified by signatures. */
    verifyingKey?: Uint8Array;
    /** Makes the verification worker, for pages whose bundler or CSP needs its own. */
    worker?: () => Worker;
    /** Default `'warn'`. Can be changed later with `setLogLevel`. */
    logLevel?: LogLevel;
    /** Receives log records instead of the console. */
    logger?: (record: LogRecord) => void;
    /** Aborting it closes the client. */
    signal?: AbortSignal;
}

/** An election block that is trusted because you say so. */
export interface Checkpoint {
    /** Its number. */
    blockNumber: number;
    /** Its hash, hex. */
    hash: string;
}

/** What `ready()` waits for, and how long. */
export interface ReadyOptions {
    /** Default: whatever trust there is once consensus is established. */
    trust?: Trust;
    /** Aborting it ends the waiting. */
    signal?: AbortSignal;
    /** Milliseconds. Default: for ever. */
    timeoutMs?: number;
}

/** A block at the end of a chain. */
export interface Head {
    /** Its number. */
    blockNumber: number;
    /** Its hash, hex. */
    hash: string;
    /** When it was made, Unix ms. */
    timestamp: number;
}

/** The block that ends an epoch. */
export interface ElectionHead extends Head {
    /** The epoch that it ends. */
    epoch: number;
}

/** A snapshot: cheap, synchronous, never half-updated. */
export interface ClientState {
    /** Only `'established'` means that the head can be relied on, as far as `trust` goes. */
    consensus: 'connecting' | 'syncing' | 'established' | 'offline' | 'closed';
    /** How far the macro head can be trusted. */
    trust: Trust;
    /** The newest block. */
    head: Head;
    /** The newest macro block: what comes before it is final. */
    macroHead: Head;
    /** The newest election block, whose validators make the blocks of now. */
    electionHead: ElectionHead;
    /** Peers connected. */
    peers: number;
    /** Peers that agree with the chain. */
    goodPeers: number;
    /** Which macro sync is at work; `'light'` after a fallback, or if `mode` says so. */
    syncer: 'pico' | 'light';
    /** Bytes that came from peers since the client was created, on all transports. */
    bytesReceived: number;
    /** Bytes that went to peers. */
    bytesSent: number;
}

/** A connected peer. */
export interface PeerInfo {
    /** Its libp2p id. */
    /** The peer. */
    peerId: string;
    /** The multiaddr it was reached at. */
    address: string;
    /** How it was reached. */
    transport: Transport;
    /** Round-trip time in ms, once measured. */
    rttMs?: number;
    /** What macro sync made of it. */
    outcome?: string;
    /** What it offers, as `'history'` or `'accounts-proof'`. */
    services: string[];
}

/** What every event has. */
export interface EventOf<Type extends string> {
    /** Which event it is. */
    type: Type;
    /** When it happened, Unix ms. */
    at: number;
}

/** A peer can be used. */
export interface PeerJoinedEvent extends EventOf<'peer-joined'> {
    /** The peer. */
    peerId: string;
    /** The multiaddr it was reached at. */
    address: string;
    /** How it was reached. */
    transport: Transport;
}

/** A peer is gone. */
export interface PeerLeftEvent extends EventOf<'peer-left'> {
    /** The peer. */
    peerId: string;
    /** Why, for people. */
    reason: string;
}

/** What macro sync made of one peer. */
export interface MacroSyncEvent extends EventOf<'macro-sync'> {
    /** It agrees with us; is behind; lacks what we need; or claims another chain. */
    outcome: 'good' | 'outdated' | 'incompatible' | 'conflicting';
    /** The peer. */
    peerId: string;
    /** Why, unless it is good. */
    reason?: string;
}

/** There is a new macro head. */
export interface MacroBlockEvent extends EventOf<'macro-block'> {
    /** Its number. */
    blockNumber: number;
    /** Its hash, hex. */
    hash: string;
    /** The epoch that it is in. */
    epoch: number;
    /** Whether it ends an epoch. */
    election: boolean;
    /** How far it can be trusted. */
    trust: Trust;
}

/** Peers contradict each other, so the chain is checked from the trusted anchor on: the syncer went from pico to light. */
export interface FallbackEvent extends EventOf<'fallback'> {
    /** The syncer before. */
    from: 'pico';
    /** The syncer from now on. */
    to: 'light';
    /** The peer that gave the reason, if it was one. */
    peerId?: string;
    /** What it was, for people. */
    reason: string;
}

/** Something about a zero-knowledge proof of the election chain. */
export interface ZkpEvent extends EventOf<'zkp'> {
    /** A peer is asked; its proof is being checked; holds; doesn't hold; or there is none: from the peer, or, where none
     *  is named, at all. */
    status: 'requested' | 'verifying' | 'verified' | 'rejected' | 'unavailable';
    /** The block that the proof is of; for a request, the one that it is to go beyond. */
    blockNumber?: number;
    /** The peer that is asked, or that sent the proof. */
    peerId?: string;
    /** How long the check took, in ms. */
    ms?: number;
    /** Why it is rejected or unavailable. */
    reason?: string;
}

/** Trust has changed. */
export interface TrustEvent extends EventOf<'trust'> {
    /** What it is now. */
    level: Trust;
    /** Through what: the word of peers, a proof, validators' signatures, or what an earlier run had verified. */
    via: 'peers' | 'zkp' | 'signatures' | 'storage';
    /** The macro block as of which it holds. */
    blockNumber: number;
}

/** Consensus has changed. */
export interface ConsensusEvent extends EventOf<'consensus'> {
    /** What it is now. */
    state: ClientState['consensus'];
}

/** The head has moved: by blocks on top of it, or to another branch. */
export interface HeadEvent extends EventOf<'head'> {
    /** How it has moved. */
    kind: 'extended' | 'rebranched';
    /** Of the new head. */
    blockNumber: number;
    /** Of the new head, hex. */
    hash: string;
    /** Hashes of the blocks that joined the chain, ascending. */
    adopted: string[];
    /** Hashes of those that left it, ascending. */
    reverted: string[];
}

/** Nothing arrived for too long: what is being done about it. Never a silent stall. */
export interface StalledEvent extends EventOf<'stalled'> {
    /** For so many ms. */
    forMs: number;
    /** New connections are sought; all are closed and made anew; or every peer goes through macro sync again. */
    action: 'redial' | 'restart-network' | 'resync';
}

/** A slow reader missed events; its iterator goes on with the newest. */
export interface LaggedEvent extends EventOf<'lagged'> {
    /** So many. */
    missed: number;
}

/** What happens, told apart by `type`. Ignore unknown ones: more may come, and `UnlistedEvent` has some. */
export type SyncEvent =
    | PeerJoinedEvent | PeerLeftEvent | MacroSyncEvent | MacroBlockEvent | FallbackEvent | ZkpEvent | TrustEvent
    | ConsensusEvent | HeadEvent | StalledEvent | LaggedEvent;

/** An address could not be reached. */
export interface DialFailedEvent extends EventOf<'dial-failed'> {
    /** The multiaddr. */
    address: string;
    /** Why, for people. */
    reason: string;
}

/** The verification worker died and was replaced, or can't be had: then signatures and proofs are checked on the thread
 *  of the client, which is busy for longer at a time. */
export interface WorkerEvent extends EventOf<'worker'> {
    /** What became of it. */
    status: 'restarted' | 'unavailable';
    /** Why, for people. */
    reason: string;
}

/** A signature or a proof was checked on the thread of the client. */
export interface VerifiedInPlaceEvent extends EventOf<'verified-in-place'> {
    /** Why not by the worker. */
    reason: string;
}

/** What an earlier run had stored is in use again, or of no use; or nothing can be stored. */
export interface StorageStatusEvent extends EventOf<'storage'> {
    /** What became of it. */
    status: 'restored' | 'discarded' | 'unavailable';
    /** The key that the client is known by; peers and how to reach them; or the verified chain. */
    record?: 'identity' | 'contacts' | 'chain';
    /** Why it is discarded or unavailable. */
    reason?: string;
    /** Where a restored chain ends, or trust starts. */
    blockNumber?: number;
}

/** The clock of this machine differs from the peers'. */
export interface ClockEvent extends EventOf<'clock'> {
    /** Ours minus theirs, in ms. */
    skewMs: number;
}

/** Also among the events, beside `SyncEvent`. */
export type UnlistedEvent = DialFailedEvent | WorkerEvent | VerifiedInPlaceEvent | StorageStatusEvent | ClockEvent;

/** Which part of an address's history is wanted. */
export interface HistoryOptions {
    /** How many transactions at most. Default: all. */
    limit?: number;
    /** Hash of a transaction of this address: only what came before it. */
    startAt?: string;
    /** Only what was included in this block or later. */
    sinceBlock?: number;
}

/** What `waitForTransaction()` waits for, and how long. */
export interface WaitOptions {
    /** Default `'included'`. */
    confirmations?: 'included' | 'finalized';
    /** Aborting it ends the waiting. */
    signal?: AbortSignal;
    /** Milliseconds. Default: for ever. */
    timeoutMs?: number;
}

/** What went wrong. */
export type ErrorCode =
    /** An argument is wrong; the message says which, and why. */
    | 'invalid-options'
    /** What should be an address is none. */
    | 'invalid-address'
    /** No node would take this transaction. */
    | 'invalid-transaction'
    /** This context can't do it: no WebAssembly, or none of the wanted transports. */
    | 'unsupported'
    /** Nobody to connect to or to ask. */
    | 'no-peers'
    /** It took too long. */
    | 'timeout'
    /** Everyone asked gave an answer that is not true. */
    | 'proof-invalid'
    /** It doesn't exist, or nobody has it any more; or a file of the package is not where it should be. */
    | 'not-found'
    /** A signal was aborted. */
    | 'aborted'
    /** The client is closed, or what was called has been freed. */
    | 'closed'
    /** The browser's storage failed. */
    | 'storage'
    /** The verification worker failed. */
    | 'worker'
    /** The client has crashed. Another one can be created. */
    | 'crashed';
// </types>
"#;
