// Starts and ends a local network of real Nimiq nodes: the native `pico-node devnet`.

import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { binary, cargo, notBuilt } from './cargo.mjs';
import { Failure, env, start } from './env.mjs';

/** The network that the devnet speaks: its genesis and validator keys ship with the nodes. */
export const DEVNET_NETWORK = 'unit-albatross';

/** What a bare `--adversary` adds: a peer whose election block conflicts with everyone else's. */
export const DEFAULT_ADVERSARY = 'conflicting-election';

/** Lies that a client answers with a fallback if it believed the liar at first. */
export const ADVERSARIES_WITH_FALLBACK = ['conflicting-election', 'bad-signature', 'too-few-signers'];

/** How the nodes come by election-chain proofs. */
const PROOFS = { fixture: '--fixture', simulated: '--simulated-proofs' };

/** Builds the node binary; quick if nothing changed. */
export function buildNode() {
    return cargo(['build', '--locked', '-p', 'pico-node', '--bin', 'pico-node'], { label: 'node', packages: ['pico-node'] });
}

/**
 * Starts a devnet and waits until it produces blocks.
 *
 * Options: `epochs` prefilled (default 3, or those of the fixture), `transactions` in those (all between the funded account
 * and one other), `nodes`, `blockTime` in ms, `adversary` (a kind of liar to add), `proofs` (of the election chain; the nodes
 * serve none unless said otherwise; with `'fixture'` the chain begins with the fixture's epochs, of which there are real
 * ones; with `'simulated'` they are made with a key that can prove anything), `version` (of the protocol, that the first
 * election raises the chain to; default 1, or 2 with proofs), `readyMs` (how long it may take), `log` (what
 * the nodes log: a level, or `module=level`) and `onLog` (gets each line of it).
 *
 * Resolves with
 * - `network`, `head` (number of the last block when it was ready), `pid`;
 * - `addresses` of all peers; of those, `nodes` are honest and `liars` not;
 * - `funded`: `{ address, privateKey }` of an account with 10 million NIM, some for fees and rewards less or more;
 * - `verifyingKey`: that of simulated proofs, in hex;
 * - `history`: `{ address, transactions }` of the other account in the prefilled transactions, if there are any;
 * - `pay(recipient, luna)`: sends from the funded account, resolves with the hash of the transaction, which is in one
 *   of the next blocks;
 * - `startLiar(kind)`: adds a lying peer while the others run, and resolves with its address; if one of that kind runs, with
 *   that one's. It tells lies of `DEFAULT_ADVERSARY` unless told otherwise. `stopLiar()`: ends it, whoever started it;
 * - `stopNodes()`, `startNodes()`: all peers go at once, and come back with the same addresses, identities and chain;
 * - `stop()`, and `exited`, which resolves with a message should it end by itself.
 */
export async function startDevnet({
    proofs, version, epochs = proofs === 'fixture' ? undefined : 3, transactions = 0, nodes = 3, blockTime = 1000, adversary,
    readyMs = 120_000, log: filter = 'off', onLog = () => {},
} = {}) {
    const file = binary(env().targetDir, 'pico-node');
    if (!existsSync(file)) throw notBuilt('pico-node');
    const args = ['devnet', '--json', '--nodes', `${nodes}`, '--block-time', `${blockTime}`,
        '--listen', '/ip4/127.0.0.1/tcp/0/ws', '--transactions', `${transactions}`, '--control', '--exit-with-parent', '--log', filter];
    if (adversary) args.push('--adversary', adversary);
    if (proofs) args.push(PROOFS[proofs]);
    if (version !== undefined) args.push('--protocol-version', `${version}`);
    if (epochs !== undefined) args.push('--epochs', `${epochs}`);

    const child = start(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    // It may end before it has read a command; `exited` tells of that.
    child.stdin.on('error', () => {});
    const log = [];
    createInterface({ input: child.stderr }).on('line', (line) => {
        log.push(line);
        if (log.length > 40) log.shift();
        onLog(line);
    });
    let stopping = false;
    const exited = new Promise((done) => {
        child.once('error', (error) => done(`the devnet can't be started: ${error.message}`));
        child.once('close', (code, signal) => {
            if (!stopping) done([`the devnet ended (${signal || `exit code ${code}`})`, ...log].join('\n    '));
        });
    });

    const peers = [];
    // Commands are answered in the order in which they were given.
    const asked = [];
    const ready = new Promise((done, fail) => {
        createInterface({ input: child.stdout }).on('line', (line) => {
            let event;
            try {
                event = JSON.parse(line);
            } catch {
                return fail(new Failure(`the devnet printed something other than JSON: ${line}`));
            }
            if (event.event === 'node') peers.push(event);
            else if (event.event === 'ready') done(event);
            else if (event.event === 'failed') asked.shift()?.fail(new Failure(`the devnet refused: ${event.reason}`));
            else asked.shift()?.done(event);
        });
    });
    const tell = (command) =>
        Promise.race([
            new Promise((done, fail) => {
                asked.push({ done, fail });
                child.stdin.write(`${JSON.stringify(command)}\n`);
            }),
            exited.then((message) => Promise.reject(new Failure(message))),
        ]);
    const stop = async () => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        stopping = true;
        const closed = new Promise((done) => child.once('close', done));
        child.kill('SIGTERM');
        const kill = setTimeout(() => child.kill('SIGKILL'), 5000);
        await closed;
        clearTimeout(kill);
    };
    let timer;
    const tooLate = new Promise((_, fail) => {
        timer = setTimeout(() => fail(new Failure([`the devnet was not ready after ${readyMs / 1000} s`, ...log].join('\n    '))), readyMs);
    });
    try {
        const event = await Promise.race([ready, tooLate, exited.then((message) => Promise.reject(new Failure(message)))]);
        const address = ({ address }) => address;
        return {
            network: DEVNET_NETWORK,
            addresses: peers.map(address),
            nodes: peers.filter(({ role }) => role !== 'liar').map(address),
            liars: peers.filter(({ role }) => role === 'liar').map(address),
            head: event.head,
            funded: event.funded,
            history: event.history,
            verifyingKey: event.verifyingKey && readFileSync(event.verifyingKey).toString('hex'),
            pid: child.pid,
            exited,
            pay: async (recipient, luna) => (await tell({ do: 'pay', recipient, value: Number(luna) })).hash,
            startLiar: async (kind = DEFAULT_ADVERSARY) => (await tell({ do: 'start-liar', kind })).address,
            stopLiar: async () => void (await tell({ do: 'stop-liar' })),
            stopNodes: async () => void (await tell({ do: 'stop-nodes' })),
            startNodes: async () => void (await tell({ do: 'start-nodes' })),
            stop,
        };
    } catch (error) {
        await stop();
        throw error;
    } finally {
        clearTimeout(timer);
    }
}

/** The peer id at the end of a multiaddr. */
export function peerIdOf(address) {
    return address.split('/p2p/')[1];
}
