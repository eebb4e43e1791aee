// What the page and the verification worker say to each other.

import type { Network } from './types.js';

/** To the worker. */
export type Request =
    /** First, once: the compiled module, so that the worker doesn't load and compile it again, and whose rules apply. */
    | { type: 'start'; module: WebAssembly.Module; network: Network }
    /** One job, as the engine encoded it. Jobs are sent one at a time. */
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
