// Starts and ends a local network of real Nimiq nodes: the native `pico-node devnet`.

import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { binary, cargo, notBuilt } from './cargo.mjs';
import { Failure, env, start } from './env.mjs';

/** The network that the devnet speaks: its genesis and validator keys ship with the nodes. */
export const DEVNET_NETWORK = 'unit-albatross';

/** What a bare `--adversary` adds: a peer whose election block conflicts with everyone else's. */
export const DEFAULT_ADVERSARY = 'conflicting-election';

/** Lies that a client answers with a fallback if it believed the liar at first. */
export const ADVERSARIES_WITH_FALLBACK = ['conflicting-election', 'bad-signature', 'too-few-signers'];

/** Builds the node binary; quick if nothing changed. */
export function buildNode() {
    return cargo(['build', '--locked', '-p', 'pico-node', '--bin', 'pico-node'], { label: 'node', packages: ['pico-node'] });
}

/**
 * Starts a devnet and waits until it produces blocks.
 *
 * Options: `epochs` prefilled, `nodes`, `blockTime` in ms, `adversary` (a kind of liar to add), `readyMs` (how
 * long it may take), `onLog` (each line that the nodes log).
 *
 * Resolves with `{ network, addresses, nodes, liars, head, exited, stop }`: `addresses` are of all peers, liars
 * included; `exited` resolves with a message should it end by itself.
 */
export async function startDevnet({ epochs = 3, nodes = 3, blockTime = 1000, adversary, readyMs = 120_000, onLog = () => {} } = {}) {
    const file = binary(env().targetDir, 'pico-node');
    if (!existsSync(file)) throw notBuilt('pico-node');
    const args = ['devnet', '--json', '--epochs', `${epochs}`, '--nodes', `${nodes}`, '--block-time', `${blockTime}`,
        '--listen', '/ip4/127.0.0.1/tcp/0/ws', '--exit-with-parent'];
    if (adversary) args.push('--adversary', adversary);

    const child = start(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
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
    const ready = new Promise((done, fail) => {
        createInterface({ input: child.stdout }).on('line', (line) => {
            let event;
            try {
                event = JSON.parse(line);
            } catch {
                return fail(new Failure(`the devnet printed something other than JSON: ${line}`));
            }
            if (event.event === 'node') peers.push(event);
            if (event.event === 'ready') done(event);
        });
    });
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
            pid: child.pid,
            exited,
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
