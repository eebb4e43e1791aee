// Starts and ends a gateway: the native `pico-node gateway`, between the nodes of a devnet and a page.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { binary, notBuilt } from './cargo.mjs';
import { DEVNET_NETWORK, peerIdOf } from './devnet.mjs';
import { Failure, env, start } from './env.mjs';

/** Where it listens for each transport: on this machine, on free ports. */
const local = (host) => ({ websocket: `${host}/tcp/0/ws`, webrtc: `${host}/udp/0/webrtc-direct` });

/**
 * Starts a gateway and waits until an upstream is connected.
 *
 * Options: `upstreams` (addresses), `network`, `transports` (default both), `host` (where it listens; default
 * `/ip4/127.0.0.1`), `proofs` (a folder), `maxClients`,
 * `maxClientsPerIp`, `untilReady: false` (don't wait for an upstream), `readyMs` (how long that may take), `log` (a level, or
 * `module=level`), `onLog` (gets each record of it), `file` (the binary; default that of the `dev` profile), `wrap` (a command
 * to run it by, as an array).
 *
 * Resolves with
 * - `addresses` that clients can dial; `websocket` and `webrtc`, the one of each; `peerId`;
 * - `pid`; `http`, where its metrics and its health are; `health()`, with the `code` of the answer in it; `metrics()`, whose
 *   `value(name, labels)` is the sum of those that fit;
 * - `kill()`: it ends without a word; `restart()`: it is started again as the same, with new `pid` and `http`;
 * - `stop()`, and `exited`, which resolves with a message should it end by itself.
 */
export async function startGateway(options) {
    const data = mkdtempSync(join(tmpdir(), 'pico-gateway-'));
    const forget = () => rmSync(data, { recursive: true, force: true });
    const { transports = ['websocket', 'webrtc'], host = '/ip4/127.0.0.1' } = options;
    let running;
    try {
        running = await run({ ...options, data, listen: transports.map((transport) => local(host)[transport]) });
    } catch (error) {
        forget();
        throw error;
    }
    const { addresses } = running;
    const of = (part) => addresses.find((address) => address.includes(part));
    let exited;
    // Of those that end by themselves, only the first counts.
    const ended = new Promise((done) => (exited = done));
    running.exited.then(exited);
    return {
        addresses,
        websocket: of('/ws'),
        webrtc: of('/webrtc-direct'),
        peerId: peerIdOf(addresses[0]),
        get pid() {
            return running.pid;
        },
        get http() {
            return running.http;
        },
        health: () => health(running.http),
        metrics: () => metrics(running.http),
        kill: () => running.end('SIGKILL'),
        restart: async () => {
            await running.end('SIGTERM');
            // The ports are its own from now on.
            running = await run({ ...options, data, listen: addresses.map((address) => address.split(/\/(?:certhash|p2p)\//)[0]) });
            running.exited.then(exited);
            if (running.addresses.join() !== addresses.join()) throw new Failure(`the gateway has other addresses: ${running.addresses.join(', ')}`);
        },
        stop: async () => {
            await running.end('SIGTERM');
            forget();
        },
        exited: ended,
    };
}

async function run({
    upstreams, network = DEVNET_NETWORK, listen, data, proofs, maxClients, maxClientsPerIp, untilReady = true, readyMs = 30_000,
    log: filter = 'pico_=info', onLog = () => {}, file = binary(env().targetDir, 'pico-node'), wrap = [],
}) {
    if (!existsSync(file)) throw notBuilt('pico-node');
    const args = ['gateway', '--network', network, '--data', data, '--http', '127.0.0.1:0', '--allow-loopback', '--log', filter,
        '--log-format', 'json', '--exit-with-parent'];
    for (const upstream of upstreams) args.push('--upstream', upstream);
    for (const address of listen) args.push('--listen', address);
    if (proofs) args.push('--proofs', proofs);
    if (maxClients !== undefined) args.push('--max-clients', `${maxClients}`);
    if (maxClientsPerIp !== undefined) args.push('--max-clients-per-ip', `${maxClientsPerIp}`);

    const [command, ...rest] = [...wrap, file, ...args];
    const child = start(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    const tail = [];
    let told;
    const http = new Promise((done) => (told = done));
    let serves;
    const ready = new Promise((done) => (serves = done));
    createInterface({ input: child.stderr }).on('line', (line) => {
        tail.push(line);
        if (tail.length > 40) tail.shift();
        let record;
        try {
            record = JSON.parse(line);
        } catch {
            // What is wrong with the arguments is said before there is a format.
            return;
        }
        onLog(record);
        if (record.message.startsWith('Metrics and health at ')) told(record.message.split(' ').at(-1));
        if (record.message.startsWith('Ready')) serves();
    });
    child.stdout.resume();
    let ending = false;
    const closed = new Promise((done) => {
        child.once('error', (error) => done(`the gateway can't be started: ${error.message}`));
        child.once('close', (code, signal) => done([`the gateway ended (${signal || `exit code ${code}`})`, ...tail].join('\n    ')));
    });
    const exited = closed.then((message) => (ending ? new Promise(() => {}) : message));
    const end = async (signal) => {
        ending = true;
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill(signal);
        const kill = setTimeout(() => child.kill('SIGKILL'), 8000);
        await closed;
        clearTimeout(kill);
    };
    let timer;
    const tooLate = new Promise((_, fail) => {
        timer = setTimeout(() => fail(new Failure([`the gateway was not ready after ${readyMs / 1000} s`, ...tail].join('\n    '))), readyMs);
    });
    const died = exited.then((message) => Promise.reject(new Failure(message)));
    try {
        const url = await Promise.race([http, tooLate, died]);
        if (untilReady) await Promise.race([ready, tooLate, died]);
        const { addresses } = await Promise.race([health(url), tooLate, died]);
        return { addresses, http: url, pid: child.pid, exited, end };
    } catch (error) {
        await end('SIGTERM');
        throw error;
    } finally {
        clearTimeout(timer);
        // Whoever waits for `exited` has a promise of his own.
        died.catch(() => {});
    }
}

async function health(http) {
    const response = await fetch(`${http}/health`);
    return { code: response.status, ...(await response.json()) };
}

async function metrics(http) {
    const text = await (await fetch(`${http}/metrics`)).text();
    const samples = [];
    for (const line of text.split('\n')) {
        const found = line.match(/^(\w+)(?:\{([^}]*)\})? (\S+)$/);
        if (!found) continue;
        const labels = Object.fromEntries([...(found[2] ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
        samples.push({ name: found[1], labels, value: Number(found[3]) });
    }
    const fits = (labels, wanted) => Object.entries(wanted).every(([name, value]) => labels[name] === value);
    return {
        text,
        value: (name, wanted = {}) =>
            samples.filter((sample) => sample.name === `pico_gateway_${name}` && fits(sample.labels, wanted)).reduce((sum, { value }) => sum + value, 0),
    };
}
