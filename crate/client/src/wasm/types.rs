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
export interface LogRecord { level: Exclude<LogLevel, 'off'>; target: string; message: string; }

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
    checkpoint?: { blockNumber: number; hash: string };
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

/** What `ready()` waits for, and how long. */
export interface ReadyOptions {
    /** Default: whatever trust there is once consensus is established. */
    trust?: Trust;
    /** Aborting it ends the waiting. */
    signal?: AbortSignal;
    /** Milliseconds. Default: for ever. */
    timeoutMs?: number;
}

/** A block at the end of a chain. `timestamp`: Unix ms. */
export interface Head { blockNumber: number; hash: string; timestamp: number; }

/** A snapshot: cheap, synchronous, never half-updated. */
export interface ClientState {
    /** Only `'established'` means that the head can be relied on, as far as `trust` goes. */
    consensus: 'connecting' | 'syncing' | 'established' | 'offline' | 'closed';
    trust: Trust;
    head: Head;
    macroHead: Head;
    electionHead: Head & { epoch: number };
    /** Peers connected. */
    peers: number;
    /** Peers that agree with the chain. */
    goodPeers: number;
    syncer: 'pico' | 'light';
    bytesReceived: number;
    bytesSent: number;
}

/** A connected peer. */
export interface PeerInfo {
    peerId: string;
    address: string;
    transport: Transport;
    /** Round-trip time in ms, once measured. */
    rttMs?: number;
    /** What macro sync made of it. */
    outcome?: string;
    services: string[];
}

/** Every event has `type` and `at` (Unix ms). Ignore unknown types: more may come, and `UnlistedEvent` has some. */
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

/** Also among the events, beside `SyncEvent`. */
export type UnlistedEvent = { at: number } & (
    /** An address could not be reached. */
    | { type: 'dial-failed'; address: string; reason: string }
    /** The verification worker died and was replaced, or can't be had: then signatures and proofs are checked on the
     *  thread of the client, which is busy for longer at a time. */
    | { type: 'worker'; status: 'restarted' | 'unavailable'; reason: string }
    /** A signature or a proof was checked on the thread of the client. */
    | { type: 'verified-in-place'; reason: string }
    /** What an earlier run had stored is in use again, or of no use; or nothing can be stored. A restored chain ends, or
     *  trust starts, at `blockNumber`. */
    | { type: 'storage'; status: 'restored' | 'discarded' | 'unavailable'; record?: 'identity' | 'contacts' | 'chain'; reason?: string; blockNumber?: number }
    /** The clock of this machine differs from the peers' by so many ms: ours minus theirs. */
    | { type: 'clock'; skewMs: number }
);

/** An account at some block. */
export type Account = {
    /** User-friendly, as all addresses. */
    address: string;
    /** In Luna. */
    balance: bigint;
    /** The block against whose state root it is proven. */
    blockNumber: number;
    /** How far that block could be trusted. */
    trust: Trust;
} & (
    | { type: 'basic'; details?: undefined }
    | { type: 'vesting'; details: VestingDetails }
    | { type: 'htlc'; details: HtlcDetails }
    | { type: 'staking'; details: StakingDetails }
);
/** Coins that are released to their owner step by step. Times in Unix ms, durations in ms. */
export type VestingDetails = {
    owner: string;
    startTime: number;
    timeStep: number;
    /** Released at each step. */
    stepAmount: bigint;
    /** Locked at first. */
    totalAmount: bigint;
};
/** Coins for whoever knows the pre-image of a hash, until a time. */
export type HtlcDetails = {
    /** Gets back what is left after `timeout`. */
    sender: string;
    recipient: string;
    hashAlgorithm: 'blake2b' | 'sha256' | 'sha512';
    /** Hex. */
    hashRoot: string;
    hashCount: number;
    /** Unix ms. */
    timeout: number;
    /** Locked at first. */
    totalAmount: bigint;
};
/** The staking contract, of which there is one. */
export type StakingDetails = {
    /** Who can be elected, and with how much stake. */
    activeValidators: { address: string; stake: bigint }[];
};

/** A validator, elected or not. Keys in hex, amounts in Luna. */
export interface Validator {
    address: string;
    /** Of its blocks' signatures. */
    signingKey: string;
    /** Of its votes. */
    votingKey: string;
    rewardAddress: string;
    deposit: bigint;
    /** Its deposit and all that is delegated to it. */
    totalStake: bigint;
    numStakers: number;
    /** It gave up for good. */
    retired: boolean;
    /** The block from which on it is inactive, which may be yet to come. */
    inactiveFrom?: number;
    /** The block at which it was last jailed. It stays after its time in jail. */
    jailedFrom?: number;
}

/** A validator of the current epoch. It has `slots` slots from number `firstSlot` on. */
export interface ElectedValidator { address: string; slots: number; firstSlot: number; }

/** A staker. Amounts in Luna. */
export interface Staker {
    address: string;
    /** Its active stake. */
    balance: bigint;
    /** The validator it delegates to. */
    delegation?: string;
    inactiveBalance: bigint;
    /** The block from which on that is inactive, which may be yet to come. */
    inactiveFrom?: number;
    /** What can be withdrawn. */
    retiredBalance: bigint;
}

/** A block, without what it contains. Hashes in hex. */
export interface Block {
    blockNumber: number;
    hash: string;
    /** A macro block ends a batch. */
    type: 'micro' | 'macro';
    /** Whether it is a macro block that ends an epoch. */
    election: boolean;
    epoch: number;
    batch: number;
    /** Unix ms. */
    timestamp: number;
    parentHash: string;
    stateHash: string;
    historyHash: string;
    /** Of the protocol. */
    version: number;
}

/** A transaction and what became of it. Amounts in Luna. */
export interface TransactionDetails {
    hash: string;
    sender: string;
    recipient: string;
    value: bigint;
    fee: bigint;
    /** What it carries for its recipient, hex. */
    data: string;
    /** 1: creates a contract; 2: signals, without a value. */
    flags: number;
    /** The block from which on it may be included. */
    validityStartHeight: number;
    format: 'basic' | 'extended';
    /** `'included'` in a block that may still be reverted, `'finalized'` by a macro block. `'failed'`: included, but only
     *  its fee was paid. `'expired'`: it can't be included any more. */
    state: 'pending' | 'included' | 'finalized' | 'expired' | 'failed';
    /** The block that includes it. */
    blockNumber?: number;
    /** That block's, Unix ms. */
    timestamp?: number;
    /** Blocks up to the head, from that block on. */
    confirmations?: number;
    /** Whether it did what it says. */
    executed?: boolean;
}

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
    | 'invalid-options' | 'invalid-address' | 'invalid-transaction' | 'unsupported'
    | 'no-peers' | 'timeout' | 'proof-invalid' | 'not-found' | 'aborted' | 'closed'
    | 'storage' | 'worker' | 'crashed';
// </types>
"#;
