// The compiled wasm: loaded and compiled once per page, however many clients it has.

import { load } from './load.js';

let compiled: Promise<WebAssembly.Module> | undefined;

/** The module, compiled at the first call. A failure is not kept: the next call tries again. */
export function compiledModule(): Promise<WebAssembly.Module> {
    compiled ??= load(new URL('./core_bg.wasm', import.meta.url), "The client's").catch((error: unknown) => {
        compiled = undefined;
        throw error;
    });
    return compiled;
}
