// `npm run bench`: this client beside @nimiq/core, in one run, on nodes of this machine, in headless Chromium.
//
//     npm run bench [-- options]
//       --runs N     cold runs of each (default 7; 3 with --lighthouse)
//       --epochs L   prefilled epochs to compare what macro sync receives at (default 3,30,300)
//       --trust L    epochs to verify, by proof and by signatures (default 1,4,1000: the last takes a quarter of an hour)
//       --write      keep the result in docs/bench.md
//       --gateway [MINUTES]   instead of all this, a gateway under load, for so many minutes with the same clients
//                    (default 5; a quarter of an hour more for the rest), kept in docs/bench.md as well
//       --lighthouse  instead of all this, what Lighthouse says of the wallet; kept in docs/bench.md with --write

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { launchBrowser } from './lib/browser.mjs';
import { buildNode, startDevnet } from './lib/devnet.mjs';
import { Failure, main, root, run, say, step } from './lib/env.mjs';
import { buildGateway, measureGateway } from './lib/gateway-bench.mjs';
import { measureLighthouse } from './lib/lighthouse.mjs';
import { CALLS, HISTORY, ROUNDS, WATCHED, measureLoad } from './lib/load.mjs';
import { SLOW_LINE, emptyPageMemory, measure, measureReload } from './lib/measure.mjs';
import { buildPage } from './lib/page.mjs';
import { median, spread, table } from './lib/stats.mjs';
import { measureTrust } from './lib/trust.mjs';
import { serve } from './serve.mjs';
import { setup } from './setup.mjs';

/** The first block of the devnet's network. */
const GENESIS = 200;
/** Cold runs for the macro sync rows, each on its own number of epochs. */
const EPOCH_RUNS = 7;
/** Clients that verify, at each distance. */
const TRUST_RUNS = 3;
/** Where the result is kept. What is measured apart from the rest has a part of its own there, below these headings. */
const FILE = join(root, 'docs', 'bench.md');
const PARTS = ['Lighthouse', 'Gateway'];
const NAMES = { ours: 'pico-sync-client', theirs: '@nimiq/core' };

main(async () => {
    const { runs, epochs, trust, write, gateway, lighthouse } = parse(process.argv.slice(2));
    await setup('build', 'node', 'browser');
    await step('Building the npm package', () => run(process.execPath, ['scripts/build.mjs'], { label: 'package' }));
    await step('Building the node', buildNode);
    if (gateway) {
        await step('Building the gateway (the first time takes half an hour)', buildGateway);
        const text = await measureGateway(gateway);
        process.stdout.write(`${text}\n`);
        keep('Gateway', text);
        return;
    }
    if (lighthouse) {
        await step('Building the page', buildPage);
        const text = await measureLighthouse(runs);
        process.stdout.write(`${text}\n`);
        if (write) keep('Lighthouse', text);
        return;
    }
    const loadBefore = loadavg();

    const results = await compare(runs);
    const reloads = await compareReloads(runs);
    const macroSync = [];
    for (const n of epochs) macroSync.push([n, await macroSyncBytes(n)]);

    const verified = await measureTrust(trust, TRUST_RUNS);
    const underLoad = await step('Putting a client under load', measureLoad);

    const text = await report({ runs, results, reloads, macroSync, verified, underLoad, loadBefore });
    process.stdout.write(`${text}\n`);
    if (write) keep(undefined, `Made by \`npm run bench -- --write\`.\n\n${text}`);
});

/** Replaces one part of the file that results are kept in, the first one if it has no name. */
function keep(part, text) {
    const parts = new Map([[undefined, '']]);
    let current;
    for (const line of existsSync(FILE) ? readFileSync(FILE, 'utf8').split('\n') : []) {
        const heading = PARTS.find((name) => line === `## ${name}`);
        if (heading) parts.set((current = heading), '');
        else if (!line.startsWith('# ')) parts.set(current, `${parts.get(current)}${line}\n`);
    }
    parts.set(part, text);
    const sections = PARTS.filter((name) => parts.has(name)).map((name) => `## ${name}\n\n${parts.get(name).trim()}\n`);
    writeFileSync(FILE, [`# Benchmark\n\n${parts.get(undefined).trim()}\n`, ...sections].join('\n'));
    say(`written to ${FILE}`);
}

function parse(argv) {
    // `--gateway` may stand alone, which parseArgs has no word for.
    const args = argv.flatMap((arg, i) => (arg === '--gateway' && !/^\d/.test(argv[i + 1] ?? '') ? [arg, '5'] : [arg]));
    let values;
    try {
        ({ values } = parseArgs({
            args,
            options: {
                gateway: { type: 'string' },
                lighthouse: { type: 'boolean', default: false },
                runs: { type: 'string' },
                epochs: { type: 'string', default: '3,30,300' },
                trust: { type: 'string', default: '1,4,1000' },
                write: { type: 'boolean', default: false },
            },
        }));
    } catch (error) {
        throw new Failure(error.message);
    }
    const whole = (name, text, least) => {
        const n = Number(text);
        if (!Number.isInteger(n) || n < least) throw new Failure(`--${name} takes whole numbers from ${least}, not "${text}"`);
        return n;
    };
    return {
        // Those of Lighthouse take half a minute each.
        runs: whole('runs', values.runs ?? (values.lighthouse ? '3' : '7'), 1),
        epochs: values.epochs.split(',').filter(Boolean).map((text) => whole('epochs', text, 1)),
        trust: values.trust.split(',').filter(Boolean).map((text) => whole('trust', text, 1)),
        write: values.write,
        lighthouse: values.lighthouse,
        gateway: values.gateway === undefined ? undefined : whole('gateway', values.gateway, 1),
    };
}

/** Serves the two pages, and counts what each sends. */
async function servePages(devnet, options = {}, headers = {}) {
    const sent = { ours: 0, theirs: 0 };
    const server = await serve({
        mounts: {
            '/': join(root, 'tests', 'bench'),
            '/ours/': join(root, 'dist'),
            '/theirs/': join(root, 'node_modules', '@nimiq', 'core'),
            '/devnet.json': () => ({ network: devnet.network, peers: devnet.addresses, genesis: GENESIS, ...options }),
        },
        brotli: true,
        headers,
        onResponse: ({ path, bytes }) => {
            // What both need, the page itself and the address list, is not of either.
            for (const name of Object.keys(sent)) if (path.startsWith(`/${name}/`)) sent[name] += bytes;
        },
    });
    return { ...server, sent };
}

/** Cold runs of both, by turns, so that whatever else the machine does meets both alike. */
async function compare(runs) {
    const devnet = await step('Starting the devnet', () => startDevnet({ epochs: 3 }));
    const server = await servePages(devnet);
    const results = { ours: [], theirs: [], oursSlow: [], theirsSlow: [] };
    const died = devnet.exited.then((message) => Promise.reject(new Failure(message)));
    const work = async () => {
        // Compresses everything once: nobody's time to sync.
        for (const name of ['ours', 'theirs']) await step(`Warming up ${NAMES[name]}`, () => measure(`${server.url}${name}.html`, { settleMs: 1000 }));
        for (let i = 0; i < runs; i++) {
            for (const name of i % 2 ? ['theirs', 'ours'] : ['ours', 'theirs']) {
                server.sent[name] = 0;
                const result = await step(`${NAMES[name]}, run ${i + 1} of ${runs}`, () => measure(`${server.url}${name}.html`));
                const empty = await emptyPageMemory(`${server.url}empty.html`);
                const memory = empty === undefined ? undefined : result.resident - empty;
                results[name].push({ ...result, memory, bytes: server.sent[name] });
                results[`${name}Slow`].push(await measure(`${server.url}${name}.html`, { line: SLOW_LINE }));
            }
        }
        return results;
    };
    try {
        return await Promise.race([work(), died]);
    } finally {
        await server.close();
        await devnet.stop();
    }
}

/** Visits and reloads of ours, from a server whose files may be kept, as those of a real one are. */
async function compareReloads(runs) {
    const devnet = await step('Starting the devnet', () => startDevnet({ epochs: 3 }));
    const server = await servePages(devnet, {}, { 'Cache-Control': 'max-age=3600' });
    try {
        const visits = [];
        for (let i = 0; i < runs; i++) visits.push(await step(`Reload ${i + 1} of ${runs}`, () => measureReload(`${server.url}ours.html`)));
        return visits;
    } finally {
        await server.close();
        await devnet.stop();
    }
}

/** What macro sync receives from three peers, at that many epochs. */
async function macroSyncBytes(epochs) {
    // Prefilling is signing: some three epochs a second.
    const devnet = await step(`Starting a devnet of ${epochs} epochs`, () => startDevnet({ epochs, readyMs: 120_000 + epochs * 2000 }));
    const server = await servePages(devnet, { verifyInBackground: false });
    try {
        const bytes = [];
        for (let i = 0; i < EPOCH_RUNS; i++) {
            const { macroSyncBytes, fallback } = await measure(`${server.url}ours.html`, { settleMs: 1000 });
            if (fallback) throw new Failure(`fell back: ${fallback}`);
            if (macroSyncBytes === undefined) throw new Failure('not every peer was found good');
            bytes.push(macroSyncBytes);
        }
        return bytes;
    } finally {
        await server.close();
        await devnet.stop();
    }
}

async function report({ runs, results, reloads, macroSync, verified, underLoad, loadBefore }) {
    const { ours, theirs, oursSlow, theirsSlow } = results;
    const seconds = { scale: 1000, digits: 2, unit: 's' };
    const megabytes = { scale: 1e6, digits: 2, unit: 'MB' };
    const column = (list, name) => list.map((result) => result[name]);
    const row = (title, name, format, mine = ours, other = theirs) => {
        const values = [column(mine, name), column(other, name)];
        const [a, b] = values.map(median);
        return [title, ...values.map((list) => spread(list, format)), Number.isFinite(a / b) ? `${(a / b).toFixed(2)} ×` : '–'];
    };
    const comparison = table([
        ['', NAMES.ours, `${NAMES.theirs} ${versionOf('@nimiq/core')}`, 'ratio'],
        row('Bytes over the wire (brotli)', 'bytes', megabytes),
        row('Navigation to first head', 'head', seconds),
        row('Navigation to established', 'established', seconds),
        row('The same at 10 Mbit/s, 40 ms', 'established', seconds, oursSlow, theirsSlow),
        row('Memory of page and workers, beyond an empty page’s', 'memory', { scale: 1e6, digits: 0, unit: 'MB' }),
        row('Of that, JavaScript', 'heap', megabytes),
        row('Longest main-thread task, processor time', 'longestTask', { digits: 0, unit: 'ms' }),
        row('The same, as time passed on this machine', 'longestTaskElapsed', { digits: 0, unit: 'ms' }),
    ]);
    const visit = (title, name) => {
        const [cold, again] = ['cold', 'reload'].map((kind) => reloads.map((marks) => marks[kind][name]));
        return [title, spread(cold, seconds), spread(again, seconds), `${(median(again) / median(cold)).toFixed(2)} ×`];
    };
    const visits = table([
        ['', 'first visit', 'reload', 'ratio'],
        visit('Navigation to the client being made', 'created'),
        visit('Navigation to first head', 'head'),
        visit('Navigation to established', 'established'),
        visit('Navigation to trust `verified`', 'verified'),
    ]);
    const inBackground = spread(column(ours, 'verified'), seconds);
    const least = Math.min(...macroSync.map(([, bytes]) => median(bytes)));
    const sync = table([
        ['Prefilled epochs', 'bytes received by macro sync', 'against the least'],
        ...macroSync.map(([n, bytes]) => [`${n}`, spread(bytes, { unit: 'B' }), `+${((median(bytes) / least - 1) * 100).toFixed(1)} %`]),
    ]);
    const much = loadTable(underLoad);
    const browser = await launchBrowser();
    const chromium = browser.version();
    await browser.close();
    const load = (values) => values.map((value) => value.toFixed(1)).join(', ');
    return [
        `Median, with the least and the most, of ${runs} cold runs each, by turns: a new browser without caches against three nodes`,
        `on the same machine, one block a second. Both in pico mode. Memory and main-thread tasks up to 5 s after consensus.`,
        '',
        comparison,
        '',
        `Trust \`verified\` (signatures checked in the worker), which ${NAMES.theirs} has no word for: ${inBackground} after navigation.`,
        '',
        `A reload, ${runs} times: what was verified is in IndexedDB, and the files are in the browser's cache. A chain that has`,
        'passed a macro block since has its signatures checked first.',
        '',
        visits,
        '',
        `What pico macro sync receives from three peers until all of them are found good, median of ${EPOCH_RUNS} runs:`,
        '',
        sync,
        '',
        ...trustSection(verified),
        `Under load, with three nodes and one client that is verified; what is asked for again is asked for ${ROUNDS} times:`,
        '',
        much,
        '',
        `Machine: ${cpus().length} × ${cpus()[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Chromium ${chromium}, Node ${process.versions.node};`,
        `load (1, 5, 15 min) ${load(loadBefore)} before and ${load(loadavg())} after. ${new Date().toISOString().slice(0, 10)}.`,
    ].join('\n');
}

/** What it takes to verify. Nothing if that was not measured. */
function trustSection(verified) {
    if (!verified.length) return [];
    const seconds = { scale: 1000, digits: 2, unit: 's' };
    const kilobytes = { scale: 1000, digits: 1, unit: 'kB' };
    const cell = (results, name, format) => spread(results.map((result) => result[name]), format);
    const rows = verified.map(({ distance, proofs, byProof, bySignatures }) => [
        `${distance}${proofs === 'simulated' ? ', proof simulated' : ''}`,
        cell(byProof, 'ms', seconds),
        cell(byProof, 'bytes', kilobytes),
        cell(bySignatures, 'ms', seconds),
        cell(bySignatures, 'bytes', kilobytes),
    ]);
    const checks = verified.flatMap((result) => result.checks);
    const ms = { unit: 'ms' };
    const [first, again] = [checks.map(([time]) => time), checks.flatMap((times) => times.slice(1))].map((times) => spread(times, ms));
    return [
        'From the start of a client in light mode to trust `verified`, at a distance of so many epochs from the block that proofs start',
        `from (medians of ${TRUST_RUNS}; the longest walk once). Proofs are those of the fixture, made by the real prover, as far as it goes. Beyond, the`,
        'chain is real and the proof is made with a key that can prove anything: to the client, that is the same work.',
        '',
        table([['Epochs', 'by proof', 'received', 'by signatures', 'received'], ...rows]),
        '',
        `One proof checked in the worker: ${first} with the key made ready for it, which is done once, and ${again} from then on.`,
        '',
    ];
}

/** What came of a client under load. */
function loadTable({ watch, accounts, history, memory, received, refused, left, faults }) {
    if (faults.length) throw new Failure(`under load: ${faults.join('\n')}`);
    const ms = (results) => spread(results.map(({ ms }) => ms), { unit: 'ms' });
    const megabytes = { scale: 1e6, digits: 1, unit: 'MB' };
    const [before, ...after] = memory;
    const grown = (to) => (before === undefined ? '–' : spread([to - before], megabytes));
    return table([
        ['', ''],
        [`${CALLS} \`getAccounts\` at once, 5 accounts each`, ms(accounts)],
        [`A history of ${HISTORY} transactions, each proven`, ms(history)],
        [`${WATCHED} watched addresses, each paid: until all payments in blocks were told`, ms([watch])],
        ['Bytes received in all', spread([received], megabytes)],
        ['Memory added by the first round', grown(after[0])],
        ['and by all of them', grown(after.at(-1))],
        ['Transactions found, in each round', history.map(({ distinct }) => distinct).join(', ')],
        ['Requests that nodes refused as too many', `${refused.length}`],
        ['Peers lost', `${left.length}`],
    ]);
}

function versionOf(name) {
    return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version;
}
