// What clients are made of: loaded and compiled once per page, however many clients it has.

import { loadParts, type Parts } from './platform.js';

let parts: Promise<Parts> | undefined;

/** The parts, loaded at the first call. A failure is not kept: the next call tries again. */
export function sharedParts(): Promise<Parts> {
    parts ??= loadParts().catch((error: unknown) => {
        parts = undefined;
        throw error;
    });
    return parts;
}
