// A client within a worker: how it reached its first peer.

import { PicoSyncClient } from '/dist/index.js';

self.onmessage = async ({ data }) => {
    try {
        const client = await PicoSyncClient.create(data);
        for await (const event of client.events()) {
            if (event.type === 'peer-joined') break;
        }
        const transports = client.peers().map(({ transport }) => transport);
        await client.close();
        self.postMessage({ transports });
    } catch (error) {
        self.postMessage({ error: String(error) });
    }
};
