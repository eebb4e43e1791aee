// A client under load: `window.load` asks much of it, and returns what came of it and how long it took.

import { PicoSyncClient } from '/ours/index.js';

const { network, peers } = await (await fetch('/devnet.json')).json();
const client = await PicoSyncClient.create({ network, peers, minPeers: peers.length, storage: 'memory' });
const left = [];
void (async () => {
    for await (const event of client) if (event.type === 'peer-left') left.push(event.reason);
})();

/** How long `work` takes, in ms, with what it returns. */
async function timed(work) {
    const from = performance.now();
    return { ...(await work()), ms: performance.now() - from };
}

/** Follows addresses from now on. */
function watch(addresses) {
    const seen = [];
    let reached;
    let look = () => {};
    const reader = client.watchAddresses(addresses);
    const failed = (async () => {
        for await (const { hash, recipient, state } of reader) {
            seen.push({ hash, recipient, state });
            look();
        }
        throw new Error('the watch has ended');
    })();
    return {
        seen,
        /** Resolves when `test` holds of what was seen. */
        until(test) {
            reached = new Promise((resolve) => {
                look = () => test(seen) && resolve();
                look();
            });
            return Promise.race([reached, failed]);
        },
    };
}

let watching;

window.load = {
    ready: () => client.ready({ trust: 'verified' }),
    state: () => ({ ...client.state, left }),

    /** So many calls at once, each about other accounts. Resolves with the balances. */
    accounts: (calls) =>
        timed(async () => {
            const answers = await Promise.all(calls.map((addresses) => client.getAccounts(addresses)));
            return { balances: answers.flat().map(({ balance }) => balance) };
        }),

    /** The whole history of an address. */
    history: (address) =>
        timed(async () => {
            const hashes = new Set();
            let count = 0;
            for await (const { hash } of client.transactionsByAddress(address)) {
                hashes.add(hash);
                count += 1;
            }
            return { count, distinct: hashes.size };
        }),

    watch(addresses) {
        watching = watch(addresses);
    },

    /** Until each of these transactions was seen in a block. */
    seen: (hashes) =>
        timed(async () => {
            await watching.until((seen) => {
                // Where a batch ends, a payment may be final before it is told of.
                const included = new Set(seen.filter(({ state }) => state !== 'pending').map(({ hash }) => hash));
                return hashes.every((hash) => included.has(hash));
            });
            const distinct = new Set(watching.seen.map(({ hash, state }) => `${hash} ${state}`));
            return { count: watching.seen.length, distinct: distinct.size };
        }),
};
