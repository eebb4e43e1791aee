// The packed package in Node: over WebSocket, with a thread for a worker, and nothing that is left behind.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import { run as execute } from '../../scripts/lib/env.mjs';
import { projectTools } from '../../scripts/lib/projects.mjs';
import { devnet, scope } from '../e2e/harness.mjs';
import { packed, project } from './support.mjs';

/** A process that is still there then does not end by itself. Milliseconds. */
const PATIENCE_MS = 60_000;

describe('in Node', { timeout: 300_000 }, () => {
    const t = scope();
    let net;
    let folder;
    before(async () => {
        folder = await project('node', packed());
        net = await devnet(t, { epochs: 1 });
    });

    /** Starts a script of the project. `done` resolves with what it printed, once it has ended in order and by itself. */
    function script(args, { flags = [], ipc = false } = {}) {
        const child = spawn(process.execPath, [...flags, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? ['ipc'] : [])] });
        const out = { stdout: '', stderr: '' };
        for (const name of ['stdout', 'stderr']) child[name].on('data', (data) => (out[name] += data));
        const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
        const done = once(child, 'close').then(([code, signal]) => {
            clearTimeout(timer);
            assert.equal(signal, null, `${args[0]} does not end: ${out.stderr}`);
            assert.deepEqual([code, out.stderr], [0, '']);
            return out.stdout;
        });
        return { child, done };
    }

    const run = async (options, how) => JSON.parse(await script(['main.mjs', JSON.stringify(options)], how).done);
    const options = () => ({ network: net.network, peers: net.addresses, account: net.funded.address, privateKey: net.funded.privateKey });

    function assertSynced({ head, balance, transports, worker, ...rest }, notices = []) {
        assert.deepEqual(rest, { trust: 'verified', after: 'closed', address: net.funded.address, sameError: true });
        assert.ok(head >= net.head);
        assert.ok(BigInt(balance) > 0n);
        assert.ok(transports.length >= 1 && transports.every((transport) => transport === 'websocket'), `${transports}`);
        assert.deepEqual(worker, notices);
    }

    test('importing does nothing, whichever way', async () => {
        const result = JSON.parse(await script(['import.cjs']).done);
        const names = [['PicoSyncClient', 'PicoSyncError'], ['KeyPair', 'Mnemonic', 'PicoSyncError', 'TransactionBuilder', 'isValidAddress']];
        // What is required has a mark besides, that it is a module.
        assert.deepEqual(result.required.map((keys) => keys.filter((key) => !key.startsWith('__')).sort()), names);
        assert.deepEqual(result.imported.map((keys) => keys.sort()), names);
        assert.deepEqual([result.globals, result.open], [[], []]);
    });

    test('it syncs, verifies in a thread, answers, signs, and the process ends by itself', async () => {
        assertSynced(await run(options()));
    });

    test('it does so with a WebSocket that Node brings, too', async () => {
        const brought = typeof WebSocket === 'undefined' ? ['--experimental-websocket', '--no-warnings'] : [];
        assertSynced(await run(options(), { flags: brought }));
    });

    test('it does without a worker', async () => {
        assertSynced(await run({ ...options(), noWorker: true, logLevel: 'off' }), [{ status: 'unavailable', reason: 'there are none today' }]);
    });

    test('a client that is closed while it connects leaves nothing behind', async (t) => {
        const sockets = [];
        const deaf = createServer((socket) => sockets.push(socket.on('error', () => {})));
        deaf.listen(0, '127.0.0.1');
        await once(deaf, 'listening');
        t.after(() => {
            for (const socket of sockets) socket.destroy();
            deaf.close();
        });
        const { child, done } = script(['leave.mjs', `/ip4/127.0.0.1/tcp/${deaf.address().port}/ws`], { ipc: true });
        await once(deaf, 'connection');
        child.send('joined');
        assert.equal(await done, '');
    });

    test('bundled without its files, it says what to do', async () => {
        const esbuild = join(await projectTools('esbuild'), 'esbuild/bin/esbuild');
        await execute(process.execPath, [esbuild, 'main.mjs', '--bundle', '--platform=node', '--format=esm', '--outfile=bundled/out/main.mjs', '--log-level=error'], { cwd: folder, quiet: true });
        const { child, done } = script(['bundled/out/main.mjs', JSON.stringify(options())]);
        await assert.rejects(done, /not-found.*external/s);
        assert.equal(child.exitCode, 1);
    });

    test('the licence of what is bundled is with it', () => {
        const file = readFileSync(join(folder, 'node_modules/pico-sync-client/dist/node/socket-node.js'), 'utf8');
        assert.match(file, /^\/\*!\n.*ws \d+\.\d+\.\d+.*\n\nCopyright \(c\) 2011 Einar Otto Stangvik/);
        assert.match(file, /The above copyright notice and this permission notice shall be included/);
    });
});
