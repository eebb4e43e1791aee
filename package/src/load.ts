// Compiles a WebAssembly file of the package.

import { PicoSyncError, describe } from './error.js';

/** The compiled module at `url`. `whose` begins the messages of errors; `get` gets the file. */
export async function load(
    url: URL,
    whose: string,
    get: (url: URL) => Promise<Response> | Response = (from) => fetch(from),
): Promise<WebAssembly.Module> {
    let response: Response;
    try {
        response = await get(url);
    } catch (error) {
        throw new PicoSyncError('not-found', `${whose} WebAssembly could not be loaded: ${describe(error)}`, error);
    }
    if (!response.ok) {
        const status = `${response.status} ${response.statusText}`.trim();
        throw new PicoSyncError('not-found', `${whose} WebAssembly could not be loaded: ${url.href} answered ${status}`);
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
        throw new PicoSyncError('unsupported', `${whose} WebAssembly could not be compiled: ${describe(error)}`, error);
    }
}
