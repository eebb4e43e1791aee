//! The public types of the npm package for what is on the chain: accounts, validators, blocks, transactions. As
//! `types.rs`, whose names they use.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
// <types>
/** What every account has. */
export interface AccountOf<Type extends string> {
    /** What kind of account it is. */
    type: Type;
    /** User-friendly, as all addresses. */
    address: string;
    /** In Luna. */
    balance: bigint;
    /** The block against whose state root it is proven. */
    blockNumber: number;
    /** How far that block could be trusted. */
    trust: Trust;
}
/** An account that a key pair owns, or one that nobody has used yet. */
export interface BasicAccount extends AccountOf<'basic'> {
    /** There are none. */
    details?: undefined;
}
/** An account with a vesting contract. */
export interface VestingAccount extends AccountOf<'vesting'> {
    /** What is released when. */
    details: VestingDetails;
}
/** An account with a hashed time-locked contract. */
export interface HtlcAccount extends AccountOf<'htlc'> {
    /** Who gets what, and by which hash. */
    details: HtlcDetails;
}
/** The account of the staking contract. */
export interface StakingAccount extends AccountOf<'staking'> {
    /** Who can be elected. */
    details: StakingDetails;
}
/** An account at some block, told apart by `type`. */
export type Account = BasicAccount | VestingAccount | HtlcAccount | StakingAccount;
/** Coins that are released to their owner step by step. Times in Unix ms, durations in ms. */
export type VestingDetails = {
    /** Whom they are released to. */
    owner: string;
    /** When the first step begins. */
    startTime: number;
    /** From one step to the next. */
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
    /** Gets them for a pre-image, before `timeout`. */
    recipient: string;
    /** What the pre-image is hashed with. */
    hashAlgorithm: 'blake2b' | 'sha256' | 'sha512';
    /** What it comes to, hex. */
    hashRoot: string;
    /** How often it is hashed for all of the coins; less often, for a part of them. */
    hashCount: number;
    /** Unix ms. */
    timeout: number;
    /** Locked at first. */
    totalAmount: bigint;
};
/** The staking contract, of which there is one. */
export type StakingDetails = {
    /** Who can be elected, and with how much stake. */
    activeValidators: ActiveValidator[];
};
/** A validator that can be elected. */
export interface ActiveValidator {
    /** Its address. */
    address: string;
    /** Its own stake and what is delegated to it, in Luna. */
    stake: bigint;
}

/** A validator, elected or not. Keys in hex, amounts in Luna. */
export interface Validator {
    /** Its address. */
    address: string;
    /** Of its blocks' signatures. */
    signingKey: string;
    /** Of its votes. */
    votingKey: string;
    /** Where its rewards go. */
    rewardAddress: string;
    /** What it has put down to be one. */
    deposit: bigint;
    /** Its deposit and all that is delegated to it. */
    totalStake: bigint;
    /** How many delegate to it. */
    numStakers: number;
    /** It gave up for good. */
    retired: boolean;
    /** The block from which on it is inactive, which may be yet to come. */
    inactiveFrom?: number;
    /** The block at which it was last jailed. It stays after its time in jail. */
    jailedFrom?: number;
}

/** A validator of the current epoch. */
export interface ElectedValidator {
    /** Its address. */
    address: string;
    /** How many of the 512 slots it has. */
    slots: number;
    /** The number of the first of them; the others follow. */
    firstSlot: number;
}

/** A staker. Amounts in Luna. */
export interface Staker {
    /** Its address. */
    address: string;
    /** Its active stake. */
    balance: bigint;
    /** The validator it delegates to. */
    delegation?: string;
    /** Stake that it has made inactive. */
    inactiveBalance: bigint;
    /** The block from which on that is inactive, which may be yet to come. */
    inactiveFrom?: number;
    /** What can be withdrawn. */
    retiredBalance: bigint;
}

/** A block, without what it contains. Hashes in hex. */
export interface Block {
    /** Its height. */
    blockNumber: number;
    /** Of its header. */
    hash: string;
    /** A macro block ends a batch. */
    type: 'micro' | 'macro';
    /** Whether it is a macro block that ends an epoch. */
    election: boolean;
    /** The epoch that it is in. */
    epoch: number;
    /** The batch that it is in. */
    batch: number;
    /** Unix ms. */
    timestamp: number;
    /** Of the block before it. */
    parentHash: string;
    /** Root of all accounts after it. */
    stateHash: string;
    /** Root of all transactions of the epoch up to it. */
    historyHash: string;
    /** Of the protocol. */
    version: number;
}

/** A transaction and what became of it. Amounts in Luna. */
export interface TransactionDetails {
    /** Hex. */
    hash: string;
    /** The account that pays. */
    sender: string;
    /** The account that is paid. */
    recipient: string;
    /** What the recipient gets. */
    value: bigint;
    /** What the sender pays on top, to validators. */
    fee: bigint;
    /** What it carries for its recipient, hex. */
    data: string;
    /** 1: creates a contract; 2: signals, without a value. */
    flags: number;
    /** The block from which on it may be included. */
    validityStartHeight: number;
    /** How it is serialised: `'basic'` from one basic account to another, without data. */
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
// </types>
"#;
