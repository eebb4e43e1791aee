import { PicoSyncClient } from 'pico-sync-client';

import { sync } from './sync.js';

onmessage = async ({ data }) => {
    try {
        postMessage({ report: await sync(PicoSyncClient, data) });
    } catch (error) {
        postMessage({ error: String(error) });
    }
};
