// What the tests of the npm package share: the wrapper's modules in Node, and the built package in a real browser.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { rolldown } from 'rolldown';

import { launchBrowser } from '../../scripts/lib/browser.mjs';
import { root } from '../../scripts/lib/env.mjs';
import { serve } from '../../scripts/serve.mjs';

/** The built package. */
export const DIST = process.env.PICO_SYNC_DIST || join(root, 'dist');

/** Imports a module of `package/src` into Node. */
export async function wrapperModule(name) {
    const dir = mkdtempSync(join(tmpdir(), 'pico-sync-test-'));
    try {
        const file = join(dir, 'module.mjs');
        const build = await rolldown({
            input: join(root, 'package', 'src', name),
            external: ['./core.js'],
            resolve: { extensionAlias: { '.js': ['.ts'] } },
        });
        await build.write({ file, format: 'esm' });
        await build.close();
        return await import(pathToFileURL(file));
    } finally {
        rmSync(dir, { recursive: true });
    }
}

/**
 * A page with the built package at `/dist/`, in headless Chromium. `mutate` may replace files, `headers` is added
 * to every response. Everything that the page reports as an uncaught error ends up in `errors`.
 */
export async function openPage(browser, { mutate, headers } = {}) {
    const site = mkdtempSync(join(tmpdir(), 'pico-sync-site-'));
    writeFileSync(join(site, 'index.html'), '<!doctype html><meta charset="utf-8"><title>test</title><link rel="icon" href="data:,">');
    // A script that an `options.worker` can name, and one that hosts a client in a worker.
    writeFileSync(join(site, 'own-worker.js'), "import '/dist/worker.js';");
    writeFileSync(
        join(site, 'host.js'),
        `import { PicoSyncClient } from '/dist/index.js';
        onmessage = async ({ data }) => {
            const client = await PicoSyncClient.create(data);
            const { consensus } = client.state;
            await client.close();
            postMessage([consensus, client.state.consensus]);
        };`,
    );
    const server = await serve({ mounts: { '/': site, '/dist/': DIST }, ...(mutate && { mutate }), ...(headers && { headers }) });
    const page = await (await browser.newContext()).newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(error.message));
    await page.addInitScript(countResources);
    await page.goto(server.url);
    return {
        page,
        errors,
        url: server.url,
        async close() {
            await page.context().close();
            await server.close();
            rmSync(site, { recursive: true });
        },
    };
}

/** Runs in the page, before anything else: keeps count of what is open. */
function countResources() {
    const open = { sockets: new Set(), workers: new Set(), intervals: new Set(), timeouts: new Set() };
    globalThis.open_ = () => Object.fromEntries(Object.entries(open).map(([kind, all]) => [kind, all.size]));
    const { WebSocket, Worker, setInterval, clearInterval, setTimeout, clearTimeout } = globalThis;
    globalThis.WebSocket = class extends WebSocket {
        constructor(...args) {
            super(...args);
            open.sockets.add(this);
            this.addEventListener('close', () => open.sockets.delete(this));
        }
    };
    globalThis.Worker = class extends Worker {
        constructor(...args) {
            super(...args);
            open.workers.add(this);
        }
        terminate() {
            open.workers.delete(this);
            super.terminate();
        }
    };
    globalThis.setInterval = (...args) => {
        const id = setInterval(...args);
        open.intervals.add(id);
        return id;
    };
    globalThis.clearInterval = (id) => {
        open.intervals.delete(id);
        clearInterval(id);
    };
    globalThis.setTimeout = (work, ms, ...args) => {
        const id = setTimeout(() => {
            open.timeouts.delete(id);
            work(...args);
        }, ms);
        open.timeouts.add(id);
        return id;
    };
    globalThis.clearTimeout = (id) => {
        open.timeouts.delete(id);
        clearTimeout(id);
    };
}

export { launchBrowser };

/**
 * A server that accepts WebSockets and agrees to speak noise, but says no more: a peer that is there and of no use.
 * `accepted()` and `closed()` resolve when a connection comes and goes.
 */
export async function muteServer() {
    const sockets = new Set();
    const waiting = { accepted: [], closed: [] };
    const happened = { accepted: 0, closed: 0 };
    const signal = (what) => {
        happened[what] += 1;
        for (const resolve of waiting[what].splice(0)) resolve();
    };
    const server = createServer();
    server.on('upgrade', (request, socket) => {
        const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
        socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
        sockets.add(socket);
        socket.on('error', () => socket.destroy());
        // Frames come one at a time from a client that waits for answers. The only one answered is the one that closes.
        socket.on('data', (frame) => {
            if ((frame[0] & 0x0f) === 8) socket.end(Buffer.from([0x88, 0]));
        });
        socket.on('close', () => {
            sockets.delete(socket);
            signal('closed');
        });
        signal('accepted');
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const until = (what) => () => (happened[what] > 0 ? Promise.resolve() : new Promise((resolve) => waiting[what].push(resolve)));
    return {
        address: `/ip4/127.0.0.1/tcp/${server.address().port}/ws`,
        accepted: until('accepted'),
        closed: until('closed'),
        /** Says the multistream words that make the other side start its noise handshake. */
        agreeToNoise() {
            const words = ['/multistream/1.0.0\n', '/noise\n'].map((word) => Buffer.concat([Buffer.from([word.length]), Buffer.from(word)]));
            for (const socket of sockets) for (const word of words) socket.write(Buffer.concat([Buffer.from([0x82, word.length]), word]));
        },
        close() {
            for (const socket of sockets) socket.destroy();
            return new Promise((resolve) => server.close(resolve));
        },
    };
}
