// As `platform.ts`, for bundlers that leave the files beside a module behind: the wasm is text in a module, and so is the
// worker's script. A third larger to download than the file, so only where there is no other way; and as
// it is a module of its own, only once there is a client.

import { bytesOf } from './base64.js';
import { compile } from './load.js';
import type { Parts } from './platform.js';

/** As there. */
export async function loadParts(): Promise<Parts> {
    const { wasm, worker } = await import('./embedded-core.js');
    const inflated = new Blob([bytesOf(wasm)]).stream().pipeThrough(new DecompressionStream('deflate'));
    const module = await compile(new Response(inflated, { headers: { 'Content-Type': 'application/wasm' } }), "The client's");
    let script: string | undefined;
    return {
        module,
        // One for all the workers of a page: its text stays in memory for as long as its URL is good.
        startWorker: () => new Worker((script ??= URL.createObjectURL(new Blob([worker], { type: 'text/javascript' }))), { name: 'pico-sync' }),
        globals: { WebSocket: globalThis.WebSocket },
    };
}
