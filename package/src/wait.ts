// How long somebody is willing to wait: a caller, until a signal is aborted or a time is up; or the package itself.

import { PicoSyncError, describe } from './error.js';

/** The longest a timer of the platform can run. Milliseconds. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** As `ready()` and others take it. */
export interface WaitLimits {
    signal?: AbortSignal | undefined;
    timeoutMs?: number | undefined;
}

/** Limits of one call, at work until `clear()`. */
export interface Limits {
    /** Rejects with `timeout` or `aborted`, if it comes to that. */
    readonly over: Promise<never>;
    /** Takes back the timer and the listener. */
    clear(): void;
}

/** What `read` takes from the options of a call, each property once. Throws `invalid-options` if they are none, or can't be read. */
export function readOptions<Options extends object, T>(options: Options, read: (options: Options) => T): T {
    if (typeof options !== 'object' || options === null) throw invalid(`options: ${show(options)} is not an object`);
    try {
        return read(options);
    } catch (error) {
        throw new PicoSyncError('invalid-options', `options: reading them failed: ${describe(error)}`, error);
    }
}

/** What is wrong with the limits, or that they are exceeded already: no reason to begin. */
export function checkLimits({ signal, timeoutMs }: WaitLimits): PicoSyncError | undefined {
    if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
        return invalid(`timeoutMs: ${show(timeoutMs)} is not a number of milliseconds`);
    }
    if (signal !== undefined && !isSignal(signal)) return invalid(`signal: ${show(signal)} is not an AbortSignal`);
    if (signal?.aborted) return new PicoSyncError('aborted', 'The signal is aborted.', signal.reason);
    return undefined;
}

/** Sets the limits to work. `tooLate` says what there is instead of a result. */
export function startLimits({ signal, timeoutMs }: WaitLimits, tooLate: (ms: number) => string): Limits {
    let clear = () => {};
    const over = new Promise<never>((_, reject) => {
        const abort = () => reject(new PicoSyncError('aborted', 'The signal was aborted.', signal?.reason));
        const timer =
            timeoutMs === undefined || timeoutMs > LONGEST_TIMEOUT
                ? undefined
                : setTimeout(() => reject(new PicoSyncError('timeout', tooLate(timeoutMs))), timeoutMs);
        signal?.addEventListener('abort', abort);
        clear = () => {
            signal?.removeEventListener('abort', abort);
            clearTimeout(timer);
        };
    });
    return { over, clear };
}

/** `work`, or a rejection after `ms`; then, should `work` come to an end later, `late` is called. */
export function within<T>(ms: number, work: Promise<T>, late: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
        let over = false;
        const timer = setTimeout(() => {
            over = true;
            reject(new Error(`no answer within ${ms / 1000} s`));
        }, ms);
        const end = (settle: () => void) => () => {
            clearTimeout(timer);
            if (over) late();
            else settle();
        };
        work.then(
            (value) => end(() => resolve(value))(),
            (error: unknown) => end(() => reject(error))(),
        );
    });
}

/** An error about an argument. */
export function invalid(message: string): PicoSyncError {
    return new PicoSyncError('invalid-options', message);
}

/** An argument in an error message. */
export function show(value: unknown): string {
    if (typeof value === 'string') return `'${value}'`;
    // What an object says of itself is its own affair, and may be nothing, or an error.
    return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** By its shape: a page may have signals of another realm, or of a polyfill. */
function isSignal(value: unknown): value is AbortSignal {
    try {
        const signal = value as Partial<AbortSignal> | null;
        return typeof signal?.aborted === 'boolean' && typeof signal.addEventListener === 'function';
    } catch {
        // No signal refuses to be looked at.
        return false;
    }
}
