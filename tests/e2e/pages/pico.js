// The page's end of `harness.mjs`: clients by number, and their events handed on.

import { PicoSyncClient, PicoSyncError } from '/dist/index.js';

const clients = [];

/** What of an error can cross to the test. */
function plain(error) {
    return { name: error?.name, code: error?.code, message: String(error?.message ?? error), typed: error instanceof PicoSyncError };
}

async function follow(client, report) {
    // Subscribed before `create` gives back control to anyone else: nothing is missed.
    try {
        for await (const event of client) report(event);
        report({ ended: true });
    } catch (error) {
        report({ ended: true, error: plain(error) });
    }
}

window.pico = {
    PicoSyncClient,
    PicoSyncError,
    clients,
    plain,
    async create(binding, options) {
        try {
            const client = await PicoSyncClient.create(options);
            const id = clients.push(client) - 1;
            void follow(client, window[binding]);
            return { id };
        } catch (error) {
            return { error: plain(error) };
        }
    },
    /** Calls a method; errors come back as values, so that tests see their code. */
    async call(id, method, args) {
        try {
            return { value: await clients[id][method](...args) };
        } catch (error) {
            return { error: plain(error) };
        }
    },
};
