// The static server: what it gives, and what it does not.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { brotliDecompressSync } from 'node:zlib';

import { serve } from '../../scripts/serve.mjs';

describe('the server', () => {
    let folder;
    let server;
    before(async () => {
        folder = mkdtempSync(join(tmpdir(), 'pico-sync-serve-'));
        mkdirSync(join(folder, 'www'));
        writeFileSync(join(folder, 'www', 'index.html'), '<!doctype html>');
        writeFileSync(join(folder, 'www', 'core.wasm'), 'wasm');
        writeFileSync(join(folder, 'secret'), 'secret');
        server = await serve({ mounts: { '/': join(folder, 'www'), '/devnet.json': () => ({ peers: [] }) }, brotli: true });
    });
    after(async () => {
        await server.close();
        rmSync(folder, { recursive: true });
    });

    /** As `fetch`, but without its tidying of paths. */
    const get = (path, { method = 'GET', headers = {} } = {}) =>
        new Promise((done, fail) => {
            request({ host: '127.0.0.1', port: server.port, path, method, headers }, (response) => {
                const chunks = [];
                response.on('data', (chunk) => chunks.push(chunk));
                response.on('end', () => done({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }));
            })
                .once('error', fail)
                .end();
        });

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

    test('says when its port is taken', async () => {
        await assert.rejects(serve({ mounts: {}, port: server.port }), /port \d+ is in use/);
    });
});
