// A small static file server on 127.0.0.1: for `npm start`, the browser tests and the benchmark.
//
//     node scripts/serve.mjs [--port N]        serves the built page alone, without a devnet
//
// It sends what a careful host would: types that browsers accept for modules and wasm, a strict
// Content-Security-Policy, what may be kept and for how long, and (where asked) brotli, compressed once and kept in
// the cache folder. What a page may ask for beyond files is given to it as functions; only pages of its own may.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { brotliCompressSync, constants } from 'node:zlib';

import { CONTENT_SECURITY_POLICY } from '../www/content-security-policy.js';
import { Failure, endOnSignals, env, main, root, say } from './lib/env.mjs';

const TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.mjs': 'text/javascript; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.json': 'application/json',
    '.webmanifest': 'application/manifest+json',
    '.map': 'application/json',
    '.wasm': 'application/wasm',
    '.svg': 'image/svg+xml',
    '.png': 'image/png',
    '.ico': 'image/x-icon',
};

/** Files that Vite has put a hash of their content into the name of: under that name there will never be another. */
const HASHED = /^\/assets\/[^/]+-[\w-]{8}\.\w+$/;

/** Bytes of the largest body that a request may have. */
const MAX_BODY = 4096;

/** What a function of `mounts` throws to refuse a request: the status, and a message for who asked. */
export class Refusal extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}

/**
 * Serves until `close()`.
 *
 * - `mounts`: URL prefix (ending in `/`) → folder; or, for exactly that path, → a function that returns JSON; or → functions
 *   by method, such as `POST`, that get the JSON of the request and may return a promise. Those that change something
 *   answer only pages that this server has served. The longest prefix wins.
 * - `port`: 0 (default) for any free one.
 * - `headers`: added to every response, over all others.
 * - `brotli`: send files at brotli's highest quality to clients that accept it.
 * - `mutate(path, body)`: may replace a file's content (tests).
 * - `onResponse({ path, status, bytes })`: after each response; `bytes` is the body's length on the wire.
 *
 * Resolves with `{ url, port, close }`.
 */
export function serve({ mounts, port = 0, headers = {}, brotli = false, mutate, onResponse = () => {} }) {
    const prefixes = Object.keys(mounts).sort((a, b) => b.length - a.length);
    const base = {
        'Content-Security-Policy': CONTENT_SECURITY_POLICY,
        'X-Content-Type-Options': 'nosniff',
        'Referrer-Policy': 'no-referrer',
        'Cross-Origin-Opener-Policy': 'same-origin',
        'Cross-Origin-Embedder-Policy': 'require-corp',
        'Cross-Origin-Resource-Policy': 'same-origin',
        'Cache-Control': 'no-store',
    };

    const server = createServer((request, response) => {
        const answer = (status, type, body, extra = {}) => {
            const length = status === 304 ? {} : { 'Content-Length': body.length };
            response.writeHead(status, { ...base, 'Content-Type': type, ...length, ...extra, ...headers });
            response.end(request.method === 'HEAD' ? undefined : body);
            onResponse({ path: request.url, status, bytes: body.length });
        };
        const text = (status, message, extra) => answer(status, 'text/plain; charset=utf-8', Buffer.from(`${message}\n`), extra);
        const json = (status, value) => answer(status, TYPES['.json'], Buffer.from(JSON.stringify(value)));

        let path;
        try {
            path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
        } catch {
            return text(400, 'not a path');
        }
        if (path.includes('\0')) return text(400, 'not a path');
        const prefix = prefixes.find((p) => path === p || (p.endsWith('/') && path.startsWith(p)));
        const mount = mounts[prefix];
        const reads = request.method === 'GET' || request.method === 'HEAD';
        if (typeof mount === 'object') {
            const work = Object.hasOwn(mount, request.method) && mount[request.method];
            if (!work) return text(405, `only ${Object.keys(mount).join(' and ')}`, { Allow: Object.keys(mount).join(', ') });
            return void serveWork(request, work).then(([status, value]) => json(status, value));
        }
        if (!reads) return text(405, 'only GET and HEAD', { Allow: 'GET, HEAD' });
        if (mount === undefined) return text(404, 'not found');
        if (typeof mount === 'function') return json(200, mount());

        let file = normalize(join(mount, path.slice(prefix.length)));
        if (file !== mount && !file.startsWith(mount.endsWith(sep) ? mount : mount + sep)) return text(404, 'not found');
        try {
            if (statSync(file).isDirectory()) file = join(file, 'index.html');
            let body = readFileSync(file);
            if (mutate) body = mutate(path, body);
            const type = TYPES[extname(file)] || 'application/octet-stream';
            const tag = `"${createHash('sha256').update(body).digest('base64url')}"`;
            // What has no hash in its name may be kept, but is asked for each time whether it is still the same.
            const kept = { ETag: tag, 'Cache-Control': HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache' };
            if (request.headers['if-none-match'] === tag) return answer(304, type, Buffer.alloc(0), kept);
            if (brotli && /\bbr\b/.test(request.headers['accept-encoding'] || '') && !type.startsWith('image/p')) {
                return answer(200, type, compressed(body), { ...kept, 'Content-Encoding': 'br', Vary: 'Accept-Encoding' });
            }
            return answer(200, type, body, kept);
        } catch (error) {
            if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return text(404, 'not found');
            say(`serve: ${path}: ${error.message}`);
            return text(500, 'cannot read that');
        }
    });

    return new Promise((done, fail) => {
        server.once('error', (error) =>
            fail(error.code === 'EADDRINUSE' ? new Failure(`port ${port} is in use: give another with --port, or none for any free one`) : error),
        );
        server.listen(port, '127.0.0.1', () => {
            const address = server.address();
            done({
                url: `http://127.0.0.1:${address.port}/`,
                port: address.port,
                close: () =>
                    new Promise((closed) => {
                        server.close(closed);
                        server.closeAllConnections();
                    }),
            });
        });
    });
}

/** Lets a function of `mounts` answer; resolves with status and JSON, whatever happens. */
async function serveWork(request, work) {
    try {
        mustBeOwnPage(request);
        return [200, await work(await bodyOf(request))];
    } catch (error) {
        if (error instanceof Refusal) return [error.status, { error: error.message }];
        // What the scripts say to people, they may say to the page's.
        if (error instanceof Failure) return [409, { error: error.message }];
        say(`serve: ${request.method} ${request.url}: ${error.stack}`);
        return [500, { error: 'that failed; the terminal says why' }];
    }
}

/** Any page that the browser has open can send requests here, even under another name for this machine. */
function mustBeOwnPage({ headers: { host, origin, 'sec-fetch-site': site = 'same-origin' }, socket }) {
    const own = [`127.0.0.1:${socket.localPort}`, `localhost:${socket.localPort}`].includes(host);
    if (!own || origin !== `http://${host}` || site !== 'same-origin') throw new Refusal(403, 'only for the page that is served here');
}

/** The object that a request brings; an empty one if it brings nothing. */
async function bodyOf(request) {
    const chunks = [];
    let length = 0;
    for await (const chunk of request) {
        length += chunk.length;
        // The rest is read all the same: a connection that breaks off would tell the page nothing.
        if (length <= MAX_BODY) chunks.push(chunk);
    }
    if (length > MAX_BODY) throw new Refusal(413, `a body may have ${MAX_BODY} bytes`);
    if (length === 0) return {};
    if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) throw new Refusal(415, 'only application/json');
    let value;
    try {
        value = JSON.parse(Buffer.concat(chunks).toString());
    } catch {
        throw new Refusal(400, 'not JSON');
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Refusal(400, 'not a JSON object');
    return value;
}

/** `body` in brotli at its highest quality; kept on disk by content, as 8 MB take half a minute. */
export function compressed(body) {
    const dir = join(env().cacheDir, 'brotli');
    const file = join(dir, createHash('sha256').update(body).digest('hex'));
    if (existsSync(file)) return readFileSync(file);
    const result = brotliCompressSync(body, {
        params: {
            [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
            [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
        },
    });
    mkdirSync(dir, { recursive: true });
    // Whole or not at all: another process may read it, and this one may be ended any time.
    const part = `${file}.${process.pid}`;
    writeFileSync(part, result);
    renameSync(part, file);
    return result;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    main(async () => {
        const { values } = parseArgs({ options: { port: { type: 'string', default: '0' } } });
        const www = join(root, 'www', 'dist');
        if (!existsSync(join(www, 'index.html'))) throw new Failure('the page is not built yet: `npm start` builds it');
        const server = await serve({ mounts: { '/': www }, port: Number(values.port) });
        endOnSignals(() => server.close());
        say(`Serving ${www} at ${server.url}`);
        await new Promise(() => {});
    });
}
