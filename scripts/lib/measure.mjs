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
 * Resolves with times since navigation in ms (`head`, `established`), the page's longest main-thread task in ms
 * (`longestTask` as time of the processor, `longestTaskElapsed` as time that passed), `heap` (JavaScript of page and
 * workers, as the browser accounts for it: wasm memory is not in it) and `resident` (renderer processes, as the system
 * accounts for them) in bytes, and the page's other `marks`. With `line`, only times are taken.
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
            await browser.startTracing(page, { categories: ['toplevel', 'blink.user_timing', '__metadata'] });
        }
        // The page says so itself: a function that polls would be work on its main thread, too.
        const established = page.waitForEvent('console', { predicate: (message) => message.text() === 'established', timeout: PATIENCE_MS });
        await Promise.all([page.goto(url), established]).catch((error) => {
            throw new Failure(`${url} did not reach consensus: ${fault?.stack ?? error.message}`);
        });
        if (line) return await page.evaluate(() => window.marks);

        // Not an event that could be awaited: it is the span over which tasks are counted.
        await page.waitForTimeout(settleMs);
        const longest = longestMainThreadTask(JSON.parse(await browser.stopTracing()));
        const heap = await page.evaluate(async () => (await performance.measureUserAgentSpecificMemory()).bytes);
        const resident = await rendererMemory(browser);
        const marks = await page.evaluate(() => window.marks);
        if (fault) throw new Failure(`${url}: ${fault.stack}`);
        return { ...marks, ...longest, heap, resident };
    } finally {
        await browser.close();
    }
}

/**
 * Opens `url` in a new browser, and again in the same tab once the client is verified. Resolves with the page's marks of
 * both times, as `{ cold, reload }`.
 */
export async function measureReload(url) {
    const browser = await launchBrowser();
    try {
        const page = await (await browser.newContext()).newPage();
        let fault;
        page.on('pageerror', (error) => (fault ??= error));
        const visit = async (go) => {
            const established = page.waitForEvent('console', { predicate: (message) => message.text() === 'established', timeout: PATIENCE_MS });
            await Promise.all([go(), established]).catch((error) => {
                throw new Failure(`${url} did not reach consensus: ${fault?.stack ?? error.message}`);
            });
            await page.waitForFunction(() => window.marks.verified, undefined, { timeout: PATIENCE_MS });
            return page.evaluate(() => window.marks);
        };
        const cold = await visit(() => page.goto(url));
        const reload = await visit(() => page.reload());
        return { cold, reload };
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

/** The longest task on the page's main thread. Its `dur` grows with whatever else runs on the machine; `tdur` does not. */
export function longestMainThreadTask({ traceEvents }) {
    const page = traceEvents.find(({ name, cat }) => name === 'benchmark' && cat === 'blink.user_timing');
    const tasks = traceEvents.filter(
        ({ name, ph, pid, tid }) => name === 'ThreadControllerImpl::RunTask' && ph === 'X' && pid === page?.pid && tid === page.tid,
    );
    if (!tasks.length) throw new Failure('the trace has no tasks of the page in it');
    const longest = (field) => tasks.reduce((most, task) => Math.max(most, task[field] ?? 0), 0) / 1000;
    return { longestTask: longest('tdur'), longestTaskElapsed: longest('dur') };
}

/** Resident memory of all renderer processes of a browser, in bytes; `undefined` where there is no /proc. */
export async function rendererMemory(browser) {
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
