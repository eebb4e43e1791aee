// The one error type of the package.

import type { ErrorCode } from './types.js';

/** Every rejection and every thrown error of this package. */
export class PicoSyncError extends Error {
    /** Always `PicoSyncError`. */
    // A field of each error: where a page has frozen what all errors inherit from, `name` can't be assigned to.
    override readonly name: string = 'PicoSyncError';
    /** What went wrong, for code to act on; the message is for people. */
    readonly code: ErrorCode;
    /** What led to it, where there is something more to know. */
    override readonly cause?: unknown;

    /** @internal */
    constructor(code: ErrorCode, message: string, cause?: unknown) {
        super(message);
        this.code = code;
        if (cause !== undefined) this.cause = cause;
    }
}

/** What the core throws: plain data, as an instance knows nothing of the class above. */
interface CoreError {
    code: ErrorCode;
    message: string;
}

function isCoreError(value: unknown): value is CoreError {
    const error = value as Partial<CoreError> | null;
    return typeof error === 'object' && typeof error?.code === 'string' && typeof error.message === 'string';
}

/** Anything thrown or rejected with, as the error that users are promised. */
export function toPicoSyncError(thrown: unknown, otherwise: ErrorCode): PicoSyncError {
    if (thrown instanceof PicoSyncError) return thrown;
    if (isCoreError(thrown) && !(thrown instanceof Error)) return new PicoSyncError(thrown.code, thrown.message);
    return new PicoSyncError(otherwise, describe(thrown), thrown);
}

/** The shortest useful text for something thrown. */
export function describe(thrown: unknown): string {
    if (thrown instanceof Error) return thrown.message || thrown.name;
    try {
        return String(thrown);
    } catch {
        // Whatever it is, it has no text.
        return 'something that has no text';
    }
}
