// The static server: what it gives, and what it does not.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { brotliDecompressSync } from 'node:zlib';

import { Failure } from '../../scripts/lib/env.mjs';
import { Refusal, serve } from '../../scripts/serve.mjs';

describe('the server', () => {
    let folder;
    let server;
    before(async () => {
        folder = mkdtempSync(join(tmpdir(), 'pico-sync-serve-'));
        mkdirSync(join(folder, 'www'));
        writeFileSync(join(folder, 'www', 'index.html'), '<!doctype html>');
        writeFileSync(join(folder, 'www', 'core.wasm'), 'wasm');
        mkdirSync(join(folder, 'www', 'assets'));
        writeFileSync(join(folder, 'www', 'assets', 'index-Ab_d-f01.js'), '');
        writeFileSync(join(folder, 'secret'), 'secret');
        server = await serve({
            mounts: {
                '/': join(folder, 'www'),
                '/devnet.json': () => ({ peers: [] }),
                '/echo': {
                    POST: async (body) => {
                        if (body.refuse) throw new Refusal(418, 'no tea');
                        if (body.fail) throw new Failure('the devnet refused');
                        return { body };
                    },
                    DELETE: () => ({ gone: true }),
                },
            },
            brotli: true,
        });
    });
    after(async () => {
        await server.close();
        rmSync(folder, { recursive: true });
    });

    /** As `fetch`, but without its tidying of paths. */
    const get = (path, { method = 'GET', headers = {}, body } = {}) =>
        new Promise((done, fail) => {
            request({ host: '127.0.0.1', port: server.port, path, method, headers }, (response) => {
                const chunks = [];
                response.on('data', (chunk) => chunks.push(chunk));
                response.on('end', () => done({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }));
            })
                .once('error', fail)
                .end(body);
        });
    /** As a page of this server asks, unless `headers` says otherwise. */
    const ask = async (method, body, headers = {}) => {
        const own = { Origin: server.url.slice(0, -1), 'Content-Type': 'application/json' };
        const { status, body: answer } = await get('/echo', { method, body, headers: { ...own, ...headers } });
        return [status, JSON.parse(answer)];
    };

    test('gives files with types that browsers accept, and a strict policy', async () => {
        const index = await get('/');
        assert.equal(index.status, 200);
        assert.equal(index.body.toString(), '<!doctype html>');
        assert.match(index.headers['content-security-policy'], /script-src 'self' 'wasm-unsafe-eval';/);
        assert.equal((await get('/core.wasm')).headers['content-type'], 'application/wasm');
        assert.deepEqual(JSON.parse((await get('/devnet.json')).body), { peers: [] });
    });

    test('compresses for those who can read it', async () => {
        const { headers, body } = await get('/core.wasm', { headers: { 'accept-encoding': 'gzip, br' } });
        assert.equal(headers['content-encoding'], 'br');
        assert.equal(brotliDecompressSync(body).toString(), 'wasm');
        assert.equal((await get('/core.wasm')).headers['content-encoding'], undefined);
    });

    test('gives nothing from outside its folder', async () => {
        for (const path of ['/../secret', '/%2e%2e/secret', '/..%2fsecret', '/www/../../secret', '/%00', '/nothing', '/%']) {
            const { status, body } = await get(path);
            assert.ok(status === 404 || status === 400, `${path}: ${status}`);
            assert.ok(!body.includes('secret'));
        }
        assert.equal((await get('/', { method: 'POST' })).status, 405);
        assert.equal((await get('/', { method: 'HEAD' })).body.length, 0);
    });

    test('says what may be kept, and for how long', async () => {
        const hashed = await get('/assets/index-Ab_d-f01.js');
        assert.equal(hashed.headers['cache-control'], 'public, max-age=31536000, immutable');
        const index = await get('/');
        assert.equal(index.headers['cache-control'], 'no-cache');
        const again = await get('/', { headers: { 'if-none-match': index.headers.etag } });
        assert.deepEqual([again.status, again.body.length], [304, 0]);
        assert.equal((await get('/', { headers: { 'if-none-match': hashed.headers.etag } })).status, 200);
        assert.equal((await get('/devnet.json')).headers['cache-control'], 'no-store');
    });

    test('does what its own page asks for', async () => {
        assert.deepEqual(await ask('POST', '{"a":1}'), [200, { body: { a: 1 } }]);
        assert.deepEqual(await ask('POST', undefined, { 'Sec-Fetch-Site': 'same-origin' }), [200, { body: {} }]);
        assert.deepEqual(await ask('DELETE'), [200, { gone: true }]);
        assert.deepEqual(await ask('POST', '{"refuse":true}'), [418, { error: 'no tea' }]);
        assert.deepEqual(await ask('POST', '{"fail":true}'), [409, { error: 'the devnet refused' }]);
    });

    test('does nothing for anybody else', async () => {
        for (const headers of [
            { Origin: '' },
            { Origin: 'http://127.0.0.1:1' },
            { Origin: 'https://nimiq.example' },
            { 'Sec-Fetch-Site': 'cross-site' },
            { 'Sec-Fetch-Site': 'same-site' },
            // A name of somebody else's that leads to this machine.
            { Origin: `http://nimiq.example:${server.port}`, Host: `nimiq.example:${server.port}` },
        ]) {
            const [status, { error }] = await ask('POST', '{}', headers);
            assert.equal(status, 403, JSON.stringify(headers));
            assert.match(error, /only for the page/);
        }
    });

    test('takes no more than JSON, and little of it', async () => {
        for (const [body, headers, status] of [
            ['{', {}, 400],
            ['[]', {}, 400],
            ['null', {}, 400],
            ['{}', { 'Content-Type': 'text/plain' }, 415],
            [`{"a":"${'x'.repeat(5000)}"}`, {}, 413],
        ]) {
            assert.equal((await ask('POST', body, headers))[0], status, body.slice(0, 20));
        }
        for (const method of ['GET', 'PUT', 'PATCH']) {
            const { status, headers } = await get('/echo', { method });
            assert.deepEqual([status, headers.allow], [405, 'POST, DELETE'], method);
        }
    });

    test('says when its port is taken', async () => {
        await assert.rejects(serve({ mounts: {}, port: server.port }), /port \d+ is in use/);
    });
});
