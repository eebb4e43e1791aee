// A small static file server on 127.0.0.1: for `npm start`, the browser tests and the benchmark.
//
//     node scripts/serve.mjs [--port N]        serves the built page alone, without a devnet
//
// It sends what a careful host would: types that browsers accept for modules and wasm, a strict
// Content-Security-Policy, and (where asked) brotli, compressed once and kept in the cache folder.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { brotliCompressSync, constants } from 'node:zlib';

import { Failure, endOnSignals, env, main, root, say } from './lib/env.mjs';

const TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.mjs': 'text/javascript; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.json': 'application/json',
    '.map': 'application/json',
    '.wasm': 'application/wasm',
    '.svg': 'image/svg+xml',
    '.png': 'image/png',
    '.ico': 'image/x-icon',
};

/** What the page may do: its own files, wasm, and WebSockets to any peer. */
export const CONTENT_SECURITY_POLICY = [
    "default-src 'self'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "connect-src 'self' ws: wss:",
    "img-src 'self' data:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
].join('; ');

/**
 * Serves until `close()`.
 *
 * - `mounts`: URL prefix (ending in `/`) → folder, or → a function that returns JSON for exactly that path.
 *   The longest prefix wins.
 * - `port`: 0 (default) for any free one.
 * - `headers`: added to every response, over the defaults.
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
        ...headers,
    };

    const server = createServer((request, response) => {
        const answer = (status, type, body, extra = {}) => {
            response.writeHead(status, { ...base, 'Content-Type': type, 'Content-Length': body.length, ...extra });
            response.end(request.method === 'HEAD' ? undefined : body);
            onResponse({ path: request.url, status, bytes: body.length });
        };
        const text = (status, message) => answer(status, 'text/plain; charset=utf-8', Buffer.from(`${message}\n`));

        if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'only GET and HEAD');
        let path;
        try {
            path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
        } catch {
            return text(400, 'not a path');
        }
        if (path.includes('\0')) return text(400, 'not a path');
        const prefix = prefixes.find((p) => path === p || (p.endsWith('/') && path.startsWith(p)));
        if (prefix === undefined) return text(404, 'not found');
        const mount = mounts[prefix];
        if (typeof mount === 'function') {
            return answer(200, TYPES['.json'], Buffer.from(JSON.stringify(mount())));
        }

        let file = normalize(join(mount, path.slice(prefix.length)));
        if (file !== mount && !file.startsWith(mount.endsWith(sep) ? mount : mount + sep)) return text(404, 'not found');
        try {
            if (statSync(file).isDirectory()) file = join(file, 'index.html');
            let body = readFileSync(file);
            if (mutate) body = mutate(path, body);
            const type = TYPES[extname(file)] || 'application/octet-stream';
            if (brotli && /\bbr\b/.test(request.headers['accept-encoding'] || '') && !type.startsWith('image/p')) {
                return answer(200, type, compressed(body), { 'Content-Encoding': 'br', Vary: 'Accept-Encoding' });
            }
            return answer(200, type, body);
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
