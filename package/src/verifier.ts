// The page's side of the verification worker: starts it, feeds it, replaces it when it dies.

import { PicoSyncError, describe } from './error.js';
import type { Reply, Request, Setup } from './messages.js';

/** A worker that has not said that it is ready by then is taken to be unable to start. Milliseconds. */
const START_TIMEOUT = 10_000;
/** The longest a job may take. The largest takes about a second on a desktop. The engine waits a little more than twice as
 *  long: then a job was given to two workers. Milliseconds. */
const JOB_TIMEOUT = 20_000;
/** A job that has brought down this many workers is given up. */
const ATTEMPTS_PER_JOB = 2;
/** This many deaths of the worker without a finished job between them, and no new one is started. */
const DEATHS_IN_A_ROW = 3;
/** Jobs that may wait. The engine asks for a few at a time. */
const QUEUE_CAPACITY = 256;

type Job = {
    readonly bytes: Uint8Array;
    attempts: number;
    resolve(valid: boolean | undefined): void;
    reject(error: PicoSyncError): void;
};

/** What became of the worker, for the event log. */
export type WorkerNotice = { status: 'restarted' | 'unavailable'; reason: string };

/** Verifies jobs in a worker for as long as there can be one. */
export class VerificationWorker {
    readonly #make: () => Worker;
    readonly #setup: Setup;
    readonly #notify: (notice: WorkerNotice) => void;
    readonly #waiting: Job[] = [];
    #worker: Worker | undefined;
    #ready = false;
    #everReady = false;
    #current: Job | undefined;
    #jobs = 0;
    #deaths = 0;
    #deadline: ReturnType<typeof setTimeout> | undefined;
    #over: 'unavailable' | 'ended' | undefined;

    /** Starts the worker that `make` makes, without waiting for it. */
    constructor(make: () => Worker, setup: Setup, notify: (notice: WorkerNotice) => void) {
        this.#make = make;
        this.#setup = setup;
        this.#notify = notify;
        this.#start();
    }

    /**
     * Whether the signatures, or the proof, in `bytes` (an encoded job of the core) hold. `undefined` means that no worker can
     * do it, and that the caller has to. Rejects with code `worker` if it brings down workers: better not do it at all.
     */
    verify(bytes: Uint8Array): Promise<boolean | undefined> {
        if (this.#over === 'ended') return Promise.reject(new PicoSyncError('closed', 'The client is closed.'));
        if (this.#over || this.#waiting.length >= QUEUE_CAPACITY) return Promise.resolve(undefined);
        return new Promise((resolve, reject) => {
            this.#waiting.push({ bytes, attempts: 0, resolve, reject });
            this.#next();
        });
    }

    /** Ends the worker. Jobs in progress reject with code `closed`. */
    end(): void {
        if (this.#over === 'ended') return;
        this.#over = 'ended';
        this.#stop();
        const error = new PicoSyncError('closed', 'The client is closed.');
        for (const job of this.#drain()) job.reject(error);
    }

    #start(): void {
        let worker: Worker;
        try {
            worker = this.#make();
        } catch (error) {
            return this.#unavailable(describe(error));
        }
        this.#worker = worker;
        // Messages of a worker that has been replaced must not count for its successor.
        const current = (handle: () => void) => {
            if (this.#worker === worker) handle();
        };
        worker.onmessage = ({ data }: MessageEvent<Reply>) => current(() => this.#receive(data));
        worker.onmessageerror = () => current(() => this.#died('its message could not be read'));
        worker.onerror = (event) => {
            event.preventDefault();
            current(() => this.#died(event.message || 'its script could not be loaded'));
        };
        this.#deadline = setTimeout(() => this.#died(`not ready after ${START_TIMEOUT} ms`), START_TIMEOUT);
        try {
            this.#post({ type: 'start', ...this.#setup });
        } catch (error) {
            this.#died(describe(error));
        }
    }

    #post(message: Request): void {
        this.#worker?.postMessage(message);
    }

    #receive(reply: Reply): void {
        if (reply.type === 'failed') return this.#died(reply.reason);
        if (reply.type === 'ready') {
            clearTimeout(this.#deadline);
            this.#ready = this.#everReady = true;
            return this.#next();
        }
        if (reply.id !== this.#jobs || !this.#current) return;
        // The job is at fault, not the worker: it gets a fresh one, however often this happens.
        if (reply.type === 'crashed') return this.#died(reply.reason, 'job');
        clearTimeout(this.#deadline);
        const job = this.#current;
        this.#current = undefined;
        this.#deaths = 0;
        if (reply.type === 'verified') job.resolve(reply.valid);
        else job.reject(new PicoSyncError('unsupported', `The verification worker refused a job: ${reply.reason}`));
        this.#next();
    }

    #next(): void {
        if (!this.#ready || this.#current) return;
        const job = this.#waiting.shift();
        if (!job) return;
        this.#current = job;
        this.#jobs += 1;
        job.attempts += 1;
        this.#deadline = setTimeout(() => this.#died(`no result after ${JOB_TIMEOUT} ms`, 'timeout'), JOB_TIMEOUT);
        this.#post({ type: 'verify', id: this.#jobs, job: job.bytes });
    }

    /** The worker is of no more use: its job goes first in the next one, unless the job itself is the cause. */
    #died(reason: string, cause: 'job' | 'worker' | 'timeout' = 'worker'): void {
        const job = this.#current;
        this.#current = undefined;
        this.#stop();
        if (cause !== 'job') this.#deaths += 1;
        if (job && job.attempts < ATTEMPTS_PER_JOB) this.#waiting.unshift(job);
        else if (cause === 'timeout') job?.resolve(undefined);
        else job?.reject(new PicoSyncError('worker', `The verification worker failed twice at one job: ${reason}`));
        // One that never came up won't at the next try: its script or the page's policy is at fault.
        if (!this.#everReady || this.#deaths >= DEATHS_IN_A_ROW) return this.#unavailable(reason);
        this.#notify({ status: 'restarted', reason });
        this.#start();
    }

    #unavailable(reason: string): void {
        this.#over = 'unavailable';
        this.#stop();
        this.#notify({ status: 'unavailable', reason });
        for (const job of this.#drain()) {
            if (job.attempts === 0) job.resolve(undefined);
            // It may be what killed the worker: better not let it do the same to the page.
            else job.reject(new PicoSyncError('worker', `The verification worker failed: ${reason}`));
        }
    }

    #drain(): Job[] {
        const jobs = this.#current ? [this.#current] : [];
        this.#current = undefined;
        return [...jobs, ...this.#waiting.splice(0)];
    }

    #stop(): void {
        clearTimeout(this.#deadline);
        this.#worker?.terminate();
        this.#worker = undefined;
        this.#ready = false;
    }
}
