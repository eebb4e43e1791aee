// What the protocol fixes for each network, as far as waiting is concerned. As in the policies of the nodes' crates.

import type { Network } from 'pico-sync-client';

type Policy = {
    blocksPerBatch: number;
    batchesPerEpoch: number;
    /** Batches in which a transaction can be included. */
    validityWindow: number;
};

const POLICIES: Record<Network, Policy> = {
    'main-albatross': { blocksPerBatch: 60, batchesPerEpoch: 720, validityWindow: 120 },
    'test-albatross': { blocksPerBatch: 60, batchesPerEpoch: 720, validityWindow: 120 },
    'dev-albatross': { blocksPerBatch: 60, batchesPerEpoch: 720, validityWindow: 120 },
    'unit-albatross': { blocksPerBatch: 32, batchesPerEpoch: 4, validityWindow: 2 },
};

/** Milliseconds between two blocks. */
export const BLOCK_MS = 1000;
/** Nobody stakes less, in Luna: 100 NIM. */
export const MINIMUM_STAKE = 10_000_000n;
/** Epochs that a jailed validator, and the inactive stake with it, is kept from. */
const JAIL_EPOCHS = 8;

/** Blocks of an epoch. */
export const epochLength = (network: Network): number => POLICIES[network].blocksPerBatch * POLICIES[network].batchesPerEpoch;

/** The last block in which a transaction that is valid from `startHeight` on can be included. */
export function lastValidBlock(network: Network, startHeight: number): number {
    const { blocksPerBatch, validityWindow } = POLICIES[network];
    return startHeight + blocksPerBatch * validityWindow - 1;
}

/** The first block in which stake that is inactive from `inactiveFrom` on can be retired or delegated anew. */
export const releaseBlock = (network: Network, inactiveFrom: number): number => inactiveFrom + epochLength(network) + 1;

/** The first block at which a validator that was jailed at `jailedFrom` is out again. */
export const jailRelease = (network: Network, jailedFrom: number): number => jailedFrom + JAIL_EPOCHS * epochLength(network) + 1;
