// `npm run bench -- --lighthouse`: what Lighthouse says of the wallet, as a phone and as a desktop would have it.
//
// Lighthouse has a folder of its own with a lock file (`tests/bench/lighthouse`), and is installed into the cache when it is
// first asked for.

import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { findBrowser } from '../setup.mjs';
import { serve } from '../serve.mjs';
import { FLAGS } from './browser.mjs';
import { startDevnet } from './devnet.mjs';
import { Failure, root, say, step } from './env.mjs';
import { pageDir } from './page.mjs';
import { playground } from './playground.mjs';
import { median, table } from './stats.mjs';
import { toolsOf } from './tooling.mjs';

/** What each is to have at least, of 100. */
const GOAL = 95;
const CATEGORIES = { performance: 'Performance', accessibility: 'Accessibility', 'best-practices': 'Best practices' };
/** The views that a visitor without an account comes to. */
const VIEWS = { Welcome: '#/', Network: '#/network' };

/** Measures each view so many times, and returns the report. Says which goals were missed. */
export async function measureLighthouse(runs) {
    const { lighthouse, forms, launch, version } = await step('Making Lighthouse ready', load);
    const devnet = await step('Starting the devnet', () => startDevnet({ proofs: 'fixture' }));
    let server;
    try {
        server = await serve({ mounts: { '/': pageDir, ...playground(devnet) }, brotli: true });
        const loadBefore = loadavg();
        const rows = [];
        const missed = [];
        for (const [view, hash] of Object.entries(VIEWS)) {
            for (const [form, config] of Object.entries(forms)) {
                const results = [];
                for (let i = 0; i < runs; i++) {
                    results.push(await step(`${view}, ${form}, run ${i + 1} of ${runs}`, () => audit(`${server.url}${hash}`, { lighthouse, launch, config })));
                }
                const scores = Object.keys(CATEGORIES).map((id) => median(results.map((result) => result.scores[id])));
                const metric = (id, digits, unit, scale) => `${(median(results.map(({ audits }) => audits[id].numericValue)) / scale).toFixed(digits)} ${unit}`;
                rows.push([
                    `${view}, ${form}`,
                    ...scores.map((score) => `${score}`),
                    metric('first-contentful-paint', 2, 's', 1000),
                    metric('largest-contentful-paint', 2, 's', 1000),
                    metric('total-blocking-time', 0, 'ms', 1),
                    median(results.map(({ audits }) => audits['cumulative-layout-shift'].numericValue)).toFixed(3),
                ]);
                Object.values(CATEGORIES).forEach((name, n) => scores[n] < GOAL && missed.push(`${view}, ${form}: ${name} ${scores[n]}`));
                for (const line of new Set(results.flatMap(faults))) say(`  ${line}`);
            }
        }
        for (const line of missed) say(`  below ${GOAL}: ${line}`);
        const load = (values) => values.map((value) => value.toFixed(1)).join(', ');
        return [
            'Made by `npm run bench -- --lighthouse --write`.',
            '',
            `What Lighthouse ${version} gives the wallet of 100, median of ${runs}: a first visit, served with brotli, with a devnet on the same`,
            'machine. “phone” is its slow 4G on a processor four times slower, “desktop” its fast line.',
            '',
            table([['', ...Object.values(CATEGORIES), 'First paint', 'Largest paint', 'Blocked', 'Layout shift'], ...rows]),
            '',
            // What else the machine does counts four times on the phone: a task is as long as it took.
            `Load (1, 5, 15 min) ${load(loadBefore)} before and ${load(loadavg())} after. ${new Date().toISOString().slice(0, 10)}. Goal: ${GOAL} each${missed.length ? `; missed: ${missed.join(', ')}` : ''}.`,
        ].join('\n');
    } finally {
        await server?.close();
        await devnet.stop();
    }
}

/** What Lighthouse says when it has missed the beginning of a visit, which is no fault of the page's. */
const MISSED = 'NO_NAVSTART';

/** One visit with a browser of its own; another one if Lighthouse missed the first. */
async function audit(url, tools, attempts = 3) {
    const { lhr, missed } = await visit(url, tools);
    if (missed && attempts > 1) return audit(url, tools, attempts - 1);
    if (lhr.runtimeError) throw new Failure(`Lighthouse: ${lhr.runtimeError.message}`);
    const scores = Object.fromEntries(Object.entries(lhr.categories).map(([id, { score }]) => [id, Math.round(score * 100)]));
    return { scores, audits: lhr.audits, categories: lhr.categories };
}

async function visit(url, { lighthouse, launch, config }) {
    const chrome = await launch({ chromePath: findBrowser(), chromeFlags: ['--headless=new', ...FLAGS] });
    try {
        const { lhr } = await lighthouse(url, { port: chrome.port, onlyCategories: Object.keys(CATEGORIES), logLevel: 'error' }, config);
        return { lhr, missed: lhr.runtimeError?.code === MISSED };
    } finally {
        await chrome.kill();
    }
}

/** What an audit found wrong that counts for a score. */
function faults({ audits, categories }) {
    const counted = Object.values(categories).flatMap(({ auditRefs }) => auditRefs).filter(({ weight }) => weight > 0);
    return counted
        .map(({ id }) => audits[id])
        .filter(({ score }) => score !== null && score < 0.9)
        .map(({ id, title, displayValue }) => `${id}: ${title}${displayValue ? ` (${displayValue})` : ''}`);
}

/** Installs Lighthouse unless it is there, as its lock file says, and imports it. */
async function load() {
    const modules = await toolsOf(join(root, 'tests', 'bench', 'lighthouse'), 'lighthouse', 'Lighthouse');
    const module = (...path) => import(pathToFileURL(join(modules, ...path)).href);
    const { default: lighthouse, desktopConfig } = await module('lighthouse', 'core', 'index.js');
    const { launch } = await module('chrome-launcher', 'dist', 'index.js');
    const { version } = JSON.parse(readFileSync(join(modules, 'lighthouse', 'package.json'), 'utf8'));
    return { lighthouse, launch, version, forms: { phone: undefined, desktop: desktopConfig } };
}
