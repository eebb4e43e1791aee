// `npm run bench`: this client beside @nimiq/core, in one run, on nodes of this machine, in headless Chromium.
//
//     npm run bench [-- options]
//       --runs N     cold runs of each (default 7)
//       --epochs L   prefilled epochs to compare what macro sync receives at (default 3,30,300)
//       --write      keep the result in docs/bench.md

import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { launchBrowser } from './lib/browser.mjs';
import { buildNode, startDevnet } from './lib/devnet.mjs';
import { Failure, main, root, run, say, step } from './lib/env.mjs';
import { SLOW_LINE, emptyPageMemory, measure } from './lib/measure.mjs';
import { median, spread, table } from './lib/stats.mjs';
import { serve } from './serve.mjs';
import { setup } from './setup.mjs';

/** The first block of the devnet's network. */
const GENESIS = 200;
/** Cold runs for the macro sync rows, each on its own number of epochs. */
const EPOCH_RUNS = 7;
const NAMES = { ours: 'pico-sync-client', theirs: '@nimiq/core' };

main(async () => {
    const { runs, epochs, write } = parse(process.argv.slice(2));
    await setup('build', 'node', 'browser');
    await step('Building the npm package', () => run(process.execPath, ['scripts/build.mjs'], { label: 'package' }));
    await step('Building the node', buildNode);
    const loadBefore = loadavg();

    const results = await compare(runs);
    const macroSync = [];
    for (const n of epochs) macroSync.push([n, await macroSyncBytes(n)]);

    const text = await report({ runs, results, macroSync, loadBefore });
    process.stdout.write(`${text}\n`);
    if (write) {
        const file = join(root, 'docs', 'bench.md');
        writeFileSync(file, `# Benchmark\n\nMade by \`npm run bench -- --write\`.\n\n${text}\n`);
        say(`written to ${file}`);
    }
});

function parse(argv) {
    let values;
    try {
        ({ values } = parseArgs({
            args: argv,
            options: { runs: { type: 'string', default: '7' }, epochs: { type: 'string', default: '3,30,300' }, write: { type: 'boolean', default: false } },
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
        runs: whole('runs', values.runs, 1),
        epochs: values.epochs.split(',').filter(Boolean).map((text) => whole('epochs', text, 1)),
        write: values.write,
    };
}

/** Serves the two pages, and counts what each sends. */
async function servePages(devnet, options = {}) {
    const sent = { ours: 0, theirs: 0 };
    const server = await serve({
        mounts: {
            '/': join(root, 'tests', 'bench'),
            '/ours/': join(root, 'dist'),
            '/theirs/': join(root, 'node_modules', '@nimiq', 'core'),
            '/devnet.json': () => ({ network: devnet.network, peers: devnet.addresses, genesis: GENESIS, ...options }),
        },
        brotli: true,
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

async function report({ runs, results, macroSync, loadBefore }) {
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
    const verified = spread(column(ours, 'verified'), seconds);
    const least = Math.min(...macroSync.map(([, bytes]) => median(bytes)));
    const sync = table([
        ['Prefilled epochs', 'bytes received by macro sync', 'against the least'],
        ...macroSync.map(([n, bytes]) => [`${n}`, spread(bytes, { unit: 'B' }), `+${((median(bytes) / least - 1) * 100).toFixed(1)} %`]),
    ]);
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
        `Trust \`verified\` (signatures checked in the worker), which ${NAMES.theirs} has no word for: ${verified} after navigation.`,
        '',
        `What pico macro sync receives from three peers until all of them are found good, median of ${EPOCH_RUNS} runs:`,
        '',
        sync,
        '',
        `Machine: ${cpus().length} × ${cpus()[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Chromium ${chromium}, Node ${process.versions.node};`,
        `load (1, 5, 15 min) ${load(loadBefore)} before and ${load(loadavg())} after. ${new Date().toISOString().slice(0, 10)}.`,
    ].join('\n');
}

function versionOf(name) {
    return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version;
}
