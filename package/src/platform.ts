// Where a client finds its wasm, its worker and its sockets, in a browser: files beside the script, which most bundlers know to
// take along by what is written here. `platform-embedded.ts` and `platform-node.ts` stand in for this module in the builds
// for those that don't, and for Node.

import type { HostGlobals } from './instance.js';
import { load } from './load.js';

/** What a client is made of, besides its JavaScript. */
export interface Parts {
    /** The compiled wasm, for page and worker. */
    readonly module: WebAssembly.Module;
    /** Starts a verification worker. Throws where there can be none. */
    readonly startWorker: () => Worker;
    /** What the wasm is to find under the names of globals. */
    readonly globals: HostGlobals;
}

/** Loads and compiles. Rejects with `not-found`, or `unsupported`. */
export async function loadParts(): Promise<Parts> {
    const module = await load(new URL('./core_bg.wasm', import.meta.url), "The client's");
    return {
        module,
        startWorker: () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'pico-sync' }),
        globals: { WebSocket: globalThis.WebSocket },
    };
}
