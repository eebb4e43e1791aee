// One cold run of one page in a browser of its own, and what it took.

import { readFileSync } from 'node:fs';

import { launchBrowser } from './browser.mjs';
import { Failure } from './env.mjs';

/** How long after consensus the memory is looked at, and main-thread tasks are counted. */
const SETTLE_MS = 5000;
/** A run that is not established by then failed. */
const PATIENCE_MS = 60_000;

/** A slow line: 10 Mbit/s, 40 ms. As Chrome counts: bytes a second, milliseconds. */
export const SLOW_LINE = { offline: false, latency: 40, downloadThroughput: (10 * 1000 * 1000) / 8, uploadThroughput: (10 * 1000 * 1000) / 8 };

/**
 * Opens `url` in a new browser and waits until consensus is established.
 *
 * Resolves with times since navigation in ms (`head`, `established`), `longestTask` of the page's main thread in
 * ms, `heap` (JavaScript of page and workers, as the browser accounts for it: wasm memory is not in it) and
 * `resident` (renderer processes, as the system accounts for them) in bytes, and the page's other `marks`. With
 * `line`, only times are taken.
 */
export async function measure(url, { line, settleMs = SETTLE_MS } = {}) {
    const browser = await launchBrowser({
        // Answers measureUserAgentSpecificMemory() at once, not after the next large collection.
        args: ['--enable-blink-features=ForceEagerMeasureMemory'],
    });
    try {
        const page = await (await browser.newContext()).newPage();
        let fault;
        page.on('pageerror', (error) => (fault ??= error));
        page.on('crash', () => (fault ??= new Error('the page crashed')));
        const session = await page.context().newCDPSession(page);
        if (line) {
            await session.send('Network.enable');
            await session.send('Network.emulateNetworkConditions', line);
        } else {
            await browser.startTracing(page, { categories: ['toplevel', '__metadata'] });
        }
        await page.goto(url);
        await page.waitForFunction(() => window.marks?.established !== undefined, undefined, { timeout: PATIENCE_MS, polling: 100 }).catch((error) => {
            throw new Failure(`${url} did not reach consensus: ${fault?.stack ?? error.message}`);
        });
        if (line) return await page.evaluate(() => window.marks);

        // Not an event that could be awaited: it is the span over which tasks are counted.
        await page.waitForTimeout(settleMs);
        const longestTask = longestMainThreadTask(JSON.parse(await browser.stopTracing()));
        const heap = await page.evaluate(async () => (await performance.measureUserAgentSpecificMemory()).bytes);
        const resident = await rendererMemory(browser);
        const marks = await page.evaluate(() => window.marks);
        if (fault) throw new Failure(`${url}: ${fault.stack}`);
        return { ...marks, longestTask, heap, resident };
    } finally {
        await browser.close();
    }
}

/** What a page with nothing on it takes of resident memory, in bytes. */
export async function emptyPageMemory(url) {
    const browser = await launchBrowser();
    try {
        await (await browser.newPage()).goto(url);
        return await rendererMemory(browser);
    } finally {
        await browser.close();
    }
}

/** The longest task on the main thread of the renderer that did most: that is the page's. Milliseconds. */
function longestMainThreadTask({ traceEvents }) {
    const mains = new Map();
    for (const { name, pid, tid, args } of traceEvents) {
        if (name === 'thread_name' && args.name === 'CrRendererMain') mains.set(`${pid}/${tid}`, { total: 0, longest: 0 });
    }
    for (const { name, ph, dur = 0, pid, tid } of traceEvents) {
        const main = mains.get(`${pid}/${tid}`);
        if (!main || ph !== 'X' || name !== 'ThreadControllerImpl::RunTask') continue;
        main.total += dur;
        main.longest = Math.max(main.longest, dur);
    }
    const page = [...mains.values()].sort((a, b) => b.total - a.total)[0];
    if (!page?.total) throw new Failure('the trace has no tasks of a page in it');
    return page.longest / 1000;
}

/** Resident memory of all renderer processes of a browser, in bytes; `undefined` where there is no /proc. */
async function rendererMemory(browser) {
    if (process.platform !== 'linux') return undefined;
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    await session.detach();
    let kilobytes = 0;
    for (const { type, id } of processInfo) {
        if (type !== 'renderer') continue;
kilobytes += residentKilobytes(id);
    }
    return kilobytes * 1024;
}

/** Of one process; one that is ending, as spare renderers do, has none left. */
function residentKilobytes(pid) {
    try {
        return Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+) kB/m)?.[1] ?? 0);
    } catch (error) {
        if (error.code === 'ENOENT' || error.code === 'ESRCH') return 0;
        throw error;
    }
}
