// A gateway under load, and what WebRTC costs against WebSocket: `npm run bench -- --gateway`.

import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { serve } from '../serve.mjs';
import { launchBrowser } from './browser.mjs';
import { cargo } from './cargo.mjs';
import { startDevnet } from './devnet.mjs';
import { Failure, env, root, say, start, step, which } from './env.mjs';
import { startGateway } from './gateway.mjs';
import { median, spread, table } from './stats.mjs';

/** Processors that the gateway may use, where there are more. */
const PROCESSORS = 2;
/** Visits of a page by each transport. */
const VISITS = 6;
/** Native connections by each. */
const CONNECTIONS = 20;
/** How long 99 of 100 answers may take, in ms. */
const LIMIT_MS = 100;
/** Seconds of each step towards more clients, and of each attack; as long before and after it. */
const STEP_S = 5;
/** Clients of each step. */
const STEPS = [100, 300, 1000, 2000, 3000, 4000];
/** Clients that are measured while others attack. */
const WELL_BEHAVED = 50;
/** Of the most clients that it holds, how many stay for long. */
const SOAK_SHARE = 0.5;
/** Offences of the load generator. */
const OFFENCES = {
    'oversized-frames': 'Requests that announce 8 GiB, 16 clients',
    'request-flood': 'Requests as fast as they go, 32 clients with 32 each',
    'half-open': '1,000 connections begun and not finished',
    'slow-readers': '32 clients that ask and read nothing',
    'connection-attempts': '10,000 connections begun and dropped',
};
const NAMES = { websocket: 'WebSocket', webrtc: 'WebRTC' };

/** Builds the gateway and the load generator as they are used: optimised. */
export async function buildGateway() {
    const label = 'gateway';
    await cargo(['build', '--locked', '--release', '-p', 'pico-node', '--bin', 'pico-node', '--example', 'load'], { label, packages: ['pico-node'] });
}

/** Measures for about `minutes` and some; resolves with the report, in Markdown. */
export async function measureGateway(minutes) {
    const loadBefore = loadavg();
    const devnet = await step('Starting the devnet', () => startDevnet({ epochs: 1 }));
    const died = devnet.exited.then((message) => Promise.reject(new Failure(message)));
    const work = async () => {
        const established = await step(`Visiting a page ${VISITS} times over each transport`, () => withGateway(devnet, (gateway) => visits(devnet, gateway)));
        const connected = await step('Connecting over each transport', () =>
            withGateway(devnet, (gateway) => load(gateway, [gateway.websocket, gateway.webrtc], 'connect', '--times', CONNECTIONS)),
        );
        const ramps = {};
        for (const [name, of] of [['websocket', ({ websocket }) => [websocket]], ['webrtc', ({ webrtc }) => [webrtc]], ['both', ({ websocket, webrtc }) => [websocket, webrtc]]]) {
            ramps[name] = await step(`More and more clients: ${name}`, () => withGateway(devnet, (gateway) => ramp(gateway, of(gateway))));
        }
        const clients = Math.max(10, Math.floor(best(ramps.both).clients * SOAK_SHARE));
        const every = Math.max(5, Math.round(minutes * 6));
        const soak = await step(`${clients} clients for ${minutes} minutes`, () =>
            withGateway(devnet, (gateway) => load(gateway, [gateway.websocket, gateway.webrtc], 'soak', '--clients', clients, '--seconds', minutes * 60, '--every', every)),
        );
        const attacks = [];
        for (const kind of Object.keys(OFFENCES)) {
            attacks.push(await step(`Under attack: ${kind}`, () => withGateway(devnet, (gateway) => attack(gateway, kind))));
        }
        return report({ established, connected, ramps, soak, minutes, attacks, loadBefore });
    };
    try {
        return await Promise.race([work(), died]);
    } finally {
        await devnet.stop();
    }
}

/** A gateway of its own for each measurement: what one leaves behind is not the next one's. */
async function withGateway(devnet, work) {
    const many = availableParallelism() > PROCESSORS && which('taskset');
    const gateway = await startGateway({
        upstreams: devnet.nodes,
        network: devnet.network,
        maxClients: 20_000,
        file: join(env().targetDir, 'release', 'pico-node'),
        wrap: many ? ['taskset', '-c', `0-${PROCESSORS - 1}`] : [],
    });
    try {
        const died = gateway.exited.then((message) => Promise.reject(new Failure(message)));
        return await Promise.race([work(gateway), died]);
    } finally {
        await gateway.stop();
    }
}

/** Runs the load generator; resolves with the lines that it prints. */
function load(gateway, addresses, ...args) {
    const flags = addresses.flatMap((address) => ['--address', address]);
    const file = join(env().targetDir, 'release', 'examples', 'load');
    const child = start(file, [...flags, '--pid', `${gateway.pid}`, ...args.map(String)], { stdio: ['ignore', 'pipe', 'pipe'] });
    const lines = [];
    const errors = [];
    createInterface({ input: child.stdout }).on('line', (line) => {
        lines.push(JSON.parse(line));
        if (lines.at(-1).is !== 'connected') say(`  ${line}`);
    });
    createInterface({ input: child.stderr }).on('line', (line) => errors.push(line));
    return new Promise((done, fail) => {
        child.once('error', fail);
        child.once('close', (code, signal) => {
            if (code === 0) done(lines);
            else fail(new Failure([`the load generator ended (${signal || `exit code ${code}`})`, ...errors.slice(-10)].join('\n    ')));
        });
    });
}

/** More and more clients, until answers are late; a step that something else on the machine has disturbed is tried again. */
async function ramp(gateway, addresses) {
    const lines = [];
    for (const clients of STEPS) {
        let held;
        for (let i = 0; i < 2 && !held; i++) {
            lines.push(...(await load(gateway, addresses, 'soak', '--clients', clients, '--seconds', STEP_S, '--every', STEP_S)));
            held = inTime(lines.at(-1));
        }
        if (!held) break;
    }
    return lines;
}

const inTime = ({ p99, failed, lost, refused }) => p99 !== null && p99 <= LIMIT_MS && !failed && !lost && !refused;

async function attack(gateway, kind) {
    const lines = await load(gateway, [gateway.websocket, gateway.webrtc], 'attack', '--clients', WELL_BEHAVED, '--seconds', STEP_S, '--kind', kind);
    const [before, after] = lines.filter(({ is }) => is === 'step');
    const metrics = await gateway.metrics();
    return { kind, before, during: lines.find(({ is }) => is === 'attacked'), after, dropped: metrics.value('clients_dropped_total') };
}

/** A page in a new browser, by turns over each transport: milliseconds from navigation to established. */
async function visits(devnet, gateway) {
    const results = { websocket: [], webrtc: [] };
    for (let i = 0; i < VISITS; i++) {
        for (const transport of i % 2 ? ['webrtc', 'websocket'] : ['websocket', 'webrtc']) results[transport].push(await visit(devnet, gateway[transport], transport));
    }
    return results;
}

async function visit(devnet, address, transport) {
    const options = { minPeers: 1, desiredPeers: 1, transports: [transport], storage: 'memory' };
    const server = await serve({
        mounts: {
            '/': join(root, 'tests', 'bench'),
            '/ours/': join(root, 'dist'),
            '/devnet.json': () => ({ network: devnet.network, peers: [address], options }),
        },
        brotli: true,
    });
    const browser = await launchBrowser();
    try {
        const page = await browser.newPage();
        const established = page.waitForEvent('console', { predicate: (message) => message.text() === 'established', timeout: 60_000 });
        await Promise.all([page.goto(`${server.url}ours.html`), established]).catch((error) => {
            throw new Failure(`no consensus over ${transport}: ${error.message}`);
        });
        const { created, established: at } = await page.evaluate(() => window.marks);
        return { established: at, since: at - created };
    } finally {
        await browser.close();
        await server.close();
    }
}

const steps = (lines) => lines.filter(({ is }) => is === 'step').map((step) => ({ ...step, clients: step.websocket + step.webrtc }));

/** The last step at which answers were in time; the first one if there is none. */
const best = (lines) => steps(lines).findLast(inTime) ?? steps(lines)[0];

const ms = (value) => (value === null || value === undefined ? '–' : value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`);
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

function report({ established, connected, ramps, soak, minutes, attacks, loadBefore }) {
    const seconds = { scale: 1000, digits: 2, unit: 's' };
    const both = (title, values, format) => {
        const [ws, rtc] = ['websocket', 'webrtc'].map(values);
        return [title, spread(ws, format), spread(rtc, format), `${(median(rtc) / median(ws)).toFixed(2)} ×`];
    };
    const transports = table([
        ['', NAMES.websocket, NAMES.webrtc, 'ratio'],
        both('Page: navigation to established', (name) => established[name].map(({ established }) => established), seconds),
        both('Page: client made to established', (name) => established[name].map(({ since }) => since), seconds),
        both('Native: dial to end of handshakes', (name) => connected.filter(({ transport }) => transport === name).map(({ ms }) => ms), { digits: 1, unit: 'ms' }),
    ]);

    const idleOf = (lines) => lines.find(({ is }) => is === 'idle').resident;
    const rampRow = ([name, lines]) => {
        const at = best(lines);
        const beyond = steps(lines).findLast((step) => step !== at && !inTime(step));
        return [
            name === 'both' ? 'Half and half' : NAMES[name],
            inTime(at) ? `${at.clients}` : `fewer than ${at.clients}`,
            ms(at.p50),
            ms(at.p99),
            at.resident ? `${((at.resident - idleOf(lines)) / at.clients / 1000).toFixed(0)} kB` : '–',
            beyond ? `${beyond.clients}: ${ms(beyond.p99)}${beyond.failed ? `, ${beyond.failed} failed` : ''}` : 'not reached',
        ];
    };
    const capacity = table([['', 'clients', 'p50', 'p99', 'memory each', 'the step beyond'], ...Object.entries(ramps).map(rampRow)]);

    const held = steps(soak);
    const spans = table([
        ['After', 'clients', 'answers', 'failed', 'p50', 'p99', 'memory of the gateway'],
        ...held.map(({ at, clients, answers, failed, p50, p99, resident }) => [`${Math.round(at)} s`, `${clients}`, `${answers}`, `${failed}`, ms(p50), ms(p99), resident ? megabytes(resident) : '–']),
    ]);

    const offences = table([
        ['', 'p99 before', 'during', 'after', 'failed during', 'clients lost', 'what became of the offenders'],
        ...attacks.map(({ kind, before, during, after }) => [
            OFFENCES[kind],
            ms(before.p99),
            ms(during.p99),
            ms(after.p99),
            `${during.failed}`,
            `${after.lost}`,
            Object.entries(during.offence).map(([what, count]) => `${what} ${count}`).join(', ') || '–',
        ]),
    ]);
    const loads = (values) => values.map((value) => value.toFixed(1)).join(', ');
    const shared = availableParallelism() > PROCESSORS ? `The gateway has ${PROCESSORS} of them.` : 'The gateway shares them with nodes, load generator and browser.';
    return [
        'Made by `npm run bench -- --gateway`: one gateway, three nodes on the same machine, one block a second, release build. Pages are',
        `new browsers without caches, ${VISITS} over each transport by turns; native connections ${CONNECTIONS} each. Medians, with the least and the most.`,
        '',
        transports,
        '',
        `Native clients that each ask for the head once a second and follow block headers, ${STEPS.join(', ')} of them for ${STEP_S} s each, until 1 of`,
        `100 answers takes longer than ${LIMIT_MS} ms or one is missing, twice. An answer’s time counts from when the request was due.`,
        '',
        capacity,
        '',
        `For ${minutes} min, half over each transport:`,
        '',
        spans,
        '',
        `${WELL_BEHAVED} well-behaved clients, and others that are not, for ${STEP_S} s each, from the same IP address:`,
        '',
        offences,
        '',
        `Machine: ${cpus().length} × ${cpus()[0].model.trim()}. ${shared}`,
        `Load (1, 5, 15 min) ${loads(loadBefore)} before and ${loads(loadavg())} after. ${new Date().toISOString().slice(0, 10)}.`,
    ].join('\n');
}
