// The compiled wasm: loaded and compiled once per page, however many clients it has.

import { PicoSyncError, describe } from './error.js';

let compiled: Promise<WebAssembly.Module> | undefined;

/** The module, compiled at the first call. A failure is not kept: the next call tries again. */
export function compiledModule(): Promise<WebAssembly.Module> {
    compiled ??= load(new URL('./core_bg.wasm', import.meta.url)).catch((error: unknown) => {
        compiled = undefined;
        throw error;
    });
    return compiled;
}

async function load(url: URL): Promise<WebAssembly.Module> {
    let response: Response;
    try {
        response = await fetch(url);
    } catch (error) {
        throw new PicoSyncError('not-found', `The client's WebAssembly could not be loaded: ${describe(error)}`, error);
    }
    if (!response.ok) {
        const status = `${response.status} ${response.statusText}`.trim();
        throw new PicoSyncError('not-found', `The client's WebAssembly could not be loaded: ${url.href} answered ${status}`);
    }
    try {
        // Compiling while it arrives needs the right content type, which not every server sends.
        const type = response.headers.get('content-type')?.split(';')[0]?.trim();
        if (type === 'application/wasm' && typeof WebAssembly.compileStreaming === 'function') {
            return await WebAssembly.compileStreaming(response);
        }
        return await WebAssembly.compile(await response.arrayBuffer());
    } catch (error) {
        // No WebAssembly, too old a browser, or a content security policy without 'wasm-unsafe-eval'.
        throw new PicoSyncError('unsupported', `The client's WebAssembly could not be compiled: ${describe(error)}`, error);
    }
}
