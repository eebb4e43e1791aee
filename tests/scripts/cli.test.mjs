// What the scripts say to bad input, and that those they started end with them.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as span } from 'node:timers/promises';

import { elapsed, root } from '../../scripts/lib/env.mjs';
import { median, spread, table } from '../../scripts/lib/stats.mjs';
import { atLeast, lockedVersion } from '../../scripts/lib/toml.mjs';

/** How long a process may take to end that was told to. It would run for a minute. */
const GONE_MS = 10_000;

function script(name, ...args) {
    return spawnSync(process.execPath, [join(root, 'scripts', name), ...args], { encoding: 'utf8' });
}

describe('the scripts', () => {
    test('refuse what they do not know, in a line', () => {
        for (const [name, args, message] of [
            ['start.mjs', ['--epochs', 'many'], '--epochs takes a number from 1 to 1000, not "many"'],
            ['start.mjs', ['--frobnicate'], "Unknown option '--frobnicate'"],
            ['bench.mjs', ['--runs', '0'], '--runs takes whole numbers from 1, not "0"'],
            ['bench.mjs', ['--gateway', '0'], '--gateway takes whole numbers from 1, not "0"'],
            ['interop.mjs', ['--elections', '-'], '--elections takes a whole number from 1, not "-"'],
            ['test.mjs', ['everything'], 'there is no stage "everything"'],
            ['setup.mjs', ['moon'], 'unknown goal "moon"'],
        ]) {
            const { status, stdout, stderr } = script(name, ...args);
            assert.equal(status, 1, name);
            assert.ok(stderr.includes(message), `${name}: ${stderr}`);
            assert.ok(!stderr.includes('    at '), `${name} shows a stack`);
            assert.equal(stdout, '', name);
        }
    });

    test('take along what they started when they are ended', { skip: process.platform === 'win32' }, async () => {
        const code = `
            import { main, start } from ${JSON.stringify(join(root, 'scripts/lib/env.mjs'))};
            main(async () => {
                console.log(start('sleep', ['60']).pid);
                await new Promise(() => setInterval(() => {}, 1000));
            });`;
        const parent = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
        const [pid] = await once(parent.stdout, 'data');
        parent.kill('SIGTERM');
        const [exitCode] = await once(parent, 'close');
        assert.equal(exitCode, 143);
        // It was told to end, and nobody is told when it has. One that nobody has asked about yet is a zombie.
        const deadline = Date.now() + GONE_MS;
        const look = () => spawnSync('ps', ['-o', 'stat=', '-p', `${Number(pid)}`], { encoding: 'utf8' }).stdout.trim();
        for (let stat = look(); stat !== '' && !stat.startsWith('Z'); stat = look()) {
            assert.ok(Date.now() < deadline, `the child is still there: ${stat}`);
            await span(50);
        }
    });

    test('count, round and lay out as people read', () => {
        assert.equal(elapsed(1234), '1.2 s');
        assert.equal(elapsed(59_600), '1 min 0 s');
        assert.equal(elapsed(754_000), '12 min 34 s');
        assert.equal(median([3, 1, 2]), 2);
        assert.equal(median([4, 1, 2, 3]), 2.5);
        assert.equal(spread([1100, 1570, 1230], { scale: 1000, digits: 2, unit: 's' }), '1.23 s (1.10–1.57)');
        assert.equal(spread([5, 5], { unit: 'B' }), '5 B');
        assert.equal(table([['', 'b'], ['long', '1']]), '|      | b |\n|------|--:|\n| long | 1 |');
        assert.ok(atLeast('1.94.1', '1.94.1') && atLeast('1.100.0', '1.94.1') && !atLeast('1.94.0', '1.94.1'));
        assert.match(lockedVersion('wasm-bindgen'), /^\d+\.\d+\.\d+$/);
    });
});
