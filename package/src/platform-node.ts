// As `platform.ts`, for Node: the wasm comes from the disk, the worker is a thread, and where there is no WebSocket (Node 20
// has none) one comes with the package, in a file of its own.

import { readFile } from 'node:fs/promises';
import { Worker as Thread } from 'node:worker_threads';

import { PicoSyncError, describe } from './error.js';
import { notCompiled } from './load.js';
import type { Parts } from './platform.js';

/** As there. */
export async function loadParts(): Promise<Parts> {
    // The build for Node has a folder of its own.
    const file = new URL('../core_bg.wasm', import.meta.url);
    const bytes = await readFile(file).catch((error: unknown) => {
        const hint = "A bundler has to leave 'pico-sync-client' out (external), or take its files along.";
        throw new PicoSyncError('not-found', `The client's WebAssembly could not be loaded: ${describe(error)}. ${hint}`, error);
    });
    const module = await WebAssembly.compile(bytes).catch((error: unknown) => {
        throw notCompiled("The client's", error);
    });
    return {
        module,
        startWorker: () => new ThreadWorker(new URL('./worker.js', import.meta.url)) as unknown as Worker,
        globals: {
            WebSocket: globalThis.WebSocket ?? (await import('./socket-node.js')).Socket,
            // Timers are taken from a window or else from a worker, which is told by its having this.
            WorkerGlobalScope: Object,
        },
    };
}

/** A thread, as much of it as a page would have of a worker, and as is used. */
class ThreadWorker implements Pick<Worker, 'onmessage' | 'onmessageerror' | 'onerror' | 'postMessage' | 'terminate'> {
    onmessage: Worker['onmessage'] = null;
    onmessageerror: Worker['onmessageerror'] = null;
    onerror: Worker['onerror'] = null;
    readonly #thread: Thread;

    constructor(script: URL) {
        this.#thread = new Thread(script, { name: 'pico-sync' });
        // Plain objects have all that is looked at.
        this.#thread.on('message', (data) => this.onmessage?.call(this as unknown as Worker, { data } as MessageEvent));
        this.#thread.on('messageerror', (data) => this.onmessageerror?.call(this as unknown as Worker, { data } as MessageEvent));
        this.#thread.on('error', (error) => this.#failed(describe(error)));
        this.#thread.on('exit', (code) => this.#failed(`it ended with code ${code}`));
    }

    postMessage(message: unknown): void {
        this.#thread.postMessage(message);
    }

    terminate(): void {
        this.onmessage = this.onmessageerror = this.onerror = null;
        void this.#thread.terminate();
    }

    #failed(message: string): void {
        this.onerror?.call(this as unknown as Worker, { message, preventDefault() {} } as ErrorEvent);
    }
}
