// The WebSocket of Node versions that have none: that of `ws`, whose licence stands in the file that this becomes.

import WebSocket from 'ws';

/** How long a peer may take to agree that a connection is closed: so long does it keep a process from ending. Milliseconds. */
const CLOSE_TIMEOUT = 2_000;

/** As far as a client goes, what a browser has under the name of `WebSocket`. */
class NodeSocket extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
        // Frames are bytes of the wasm's memory, to be copied at once and not when a compressor comes to it; and what is
        // encrypted does not get any smaller.
        super(url, protocols, { perMessageDeflate: false, closeTimeout: CLOSE_TIMEOUT });
        // Nobody listens any more to one that is closed before it has opened. Node would end the process for that.
        this.on('error', () => {});
    }
}

export const Socket = NodeSocket as unknown as typeof globalThis.WebSocket;
