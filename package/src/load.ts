// Compiles a WebAssembly file of the package.

import { PicoSyncError, describe } from './error.js';

/** The compiled module at `url`. `whose` begins the messages of errors. */
export async function load(url: URL, whose: string): Promise<WebAssembly.Module> {
    let response: Response;
    try {
        response = await fetch(url);
    } catch (error) {
        throw new PicoSyncError('not-found', `${whose} WebAssembly could not be loaded: ${describe(error)}`, error);
    }
    // A server that answers whatever it doesn't have with its start page is the usual one of a page that is an app.
    const problem = !response.ok ? `${response.status} ${response.statusText}`.trim() : typeOf(response) === 'text/html' ? 'a page' : undefined;
    if (problem) {
        const hint = "A bundler that takes along no files needs 'pico-sync-client/embedded' or '…/embedded/wallet'.";
        throw new PicoSyncError('not-found', `${whose} WebAssembly could not be loaded: ${url.href} answered ${problem}. ${hint}`);
    }
    return compile(response, whose);
}

/** The module in `response`, compiled while it arrives where that is possible. */
export async function compile(response: Response, whose: string): Promise<WebAssembly.Module> {
    try {
        // It takes the right content type, which not every server sends.
        if (typeOf(response) === 'application/wasm' && typeof WebAssembly.compileStreaming === 'function') {
            return await WebAssembly.compileStreaming(response);
        }
        return await WebAssembly.compile(await response.arrayBuffer());
    } catch (error) {
        throw notCompiled(whose, error);
    }
}

/** No WebAssembly, too old a browser, or a content security policy without 'wasm-unsafe-eval'. */
export function notCompiled(whose: string, error: unknown): PicoSyncError {
    return new PicoSyncError('unsupported', `${whose} WebAssembly could not be compiled: ${describe(error)}`, error);
}

function typeOf(response: Response): string | undefined {
    return response.headers.get('content-type')?.split(';')[0]?.trim();
}
