// What the page and the verification worker say to each other.

import type { Network } from './types.js';

/** What a worker needs for its jobs. */
export type Setup = {
    /** The compiled module, so that the worker doesn't load and compile it again. */
    readonly module: WebAssembly.Module;
    /** Whose rules apply. */
    readonly network: Network;
    /** Of that network's election-chain proofs, if there is one. */
    readonly verifyingKey: Uint8Array | undefined;
};

/** To the worker. */
export type Request =
    /** First, once. */
    | ({ type: 'start' } & Setup)
    /** One job, as the core encoded it. Jobs are sent one at a time. */
    | { type: 'verify'; id: number; job: Uint8Array };

/** From the worker. */
export type Reply =
    | { type: 'ready' }
    /** It can't do its work at all. */
    | { type: 'failed'; reason: string }
    | { type: 'verified'; id: number; valid: boolean }
    /** The job can't be read: repeating it is of no use. */
    | { type: 'refused'; id: number; reason: string }
    /** The job brought the worker's instance down. */
    | { type: 'crashed'; id: number; reason: string };
