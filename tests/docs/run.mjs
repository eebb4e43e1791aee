// Runs the blocks of code it is given, against a devnet, in a project that has the package installed. Takes a file of JSON: `options`
// of the client, the `names` that blocks have at hand, `keyPair`'s private key, and `blocks`. Prints what became of each, as JSON.

import { readFileSync } from 'node:fs';

import * as core from 'pico-sync-client';
import * as wallet from 'pico-sync-client/wallet';

const { options, names, privateKey, blocks } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const MODULES = { 'pico-sync-client': core, 'pico-sync-client/wallet': wallet };
const AsyncFunction = (async () => {}).constructor;

const { PicoSyncClient } = core;
const create = PicoSyncClient.create.bind(PicoSyncClient);
const made = [];
const started = async ({ signal } = {}) => {
    const client = await create({ ...options, signal });
    made.push(client);
    return client;
};
// What the guides say of networks and peers is not what there is here.
PicoSyncClient.create = started;

const client = await started();
await client.ready();
// Whoever has the words has an account that can pay.
const keyPair = wallet.KeyPair.fromPrivateKey(privateKey);
const gift = { keyPair, recipient: wallet.KeyPair.fromMnemonic(wallet.Mnemonic.parse(names.words)).address, value: 10_000_000n };
const raw = wallet.TransactionBuilder.basic({ ...gift, validityStartHeight: client.state.head.blockNumber, network: options.network });
await client.waitForTransaction((await client.sendTransaction(raw)).hash);

const shared = { ...names, keyPair, modules: MODULES };

/** Starts a block: `done` when it has ended, `shown` when it has shown something. */
async function start({ code, ends }) {
    const body = code
        .replace(/^import \{(.*)\} from '(.*)';/gm, 'const {$1} = modules["$2"];')
        .replaceAll('main-albatross', options.network);
    let seen = () => {};
    const shown = new Promise((resolve) => (seen = resolve));
    // A block that closes its client gets one of its own.
    const own = body.includes('client.close()') ? await started().then(async (fresh) => (await fresh.ready(), fresh)) : client;
    const scope = { ...shared, client: own, show: seen, console: { log: seen, warn: seen } };
    // In braces, so that a block can have names of its own.
    const done = new AsyncFunction(...Object.keys(scope), `{\n${body}\n}`)(...Object.values(scope));
    // What it fails with is told below; until then, nobody is listening.
    done.catch(() => {});
    return { done, shown, ends };
}

const running = await Promise.all(blocks.map(start));
const results = await Promise.allSettled(running.map(({ done, shown, ends }) => (ends ? done : Promise.race([done, shown]))));
for (const one of made) await one.close();
// Loops end with the client, or tell that it is closed.
const ends = await Promise.allSettled(running.map(({ done }) => done));
const problem = ({ reason }, allowed) => reason && reason.code !== allowed && `${reason.code ?? reason.name}: ${reason.message}`;
console.log(JSON.stringify(blocks.map(({ at }, i) => ({ at, problem: problem(results[i]) || problem(ends[i], 'closed') || undefined }))));
