// The page's end of `harness.mjs`: clients by number, and their events handed on.

import { PicoSyncClient, PicoSyncError } from '/dist/index.js';

const clients = [];
const readers = [];

/** What of an error can cross to the test. */
function plain(error) {
    return { name: error?.name, code: error?.code, message: String(error?.message ?? error), typed: error instanceof PicoSyncError };
}

async function follow(iterable, report) {
    // A client's events are subscribed to before `create` gives back control to anyone else: nothing is missed.
    try {
        for await (const item of iterable) report(item);
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
    /** What an async iterator of a client yields, in an array. Errors as by `call`. */
    async collect(id, method, args) {
        try {
            const value = [];
            for await (const item of clients[id][method](...args)) value.push(item);
            return { value };
        } catch (error) {
            return { error: plain(error) };
        }
    },
    /** Hands on what an async iterator of a client yields, as it comes. Returns what `stop` takes. */
    read(binding, id, method, args) {
        const iterator = clients[id][method](...args);
        void follow(iterator, window[binding]);
        return readers.push(iterator) - 1;
    },
    /** Ends what `read` began. */
    async stop(reader) {
        await readers[reader].return();
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
