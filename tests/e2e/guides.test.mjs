// The JavaScript in README and guides does what is said of it: run in Node as it stands, but for the network, against a devnet.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { root } from '../../scripts/lib/env.mjs';
import { fences, read } from '../docs/markdown.mjs';
import { install } from '../publish/support.mjs';
import { PATIENCE_MS, devnet } from './harness.mjs';

const PAGES = ['README.md', 'package/README.md', 'docs/first-sync.md', 'docs/events.md', 'docs/accounts-and-payments.md'];
/** The validator of a devnet, which is also the one to delegate to. */
const VALIDATOR = 'NQ20 TSB0 DFSM UH9C 15GQ GAGJ TTE4 D3MA 859E';
/** Of an account that is nobody else's. */
const WORDS = `${'abandon '.repeat(23)}art`;

/** The blocks that can be run here: not those for pages, nor those that only import. */
function runnable(page) {
    return fences(read(page))
        .filter(({ language, code }) => language === 'js' && !/new Worker\(|^import '/m.test(code))
        .map(({ code, line }) => ({ at: `${page}:${line}`, code, ends: !/^for await \(const \w+ of client(\)|\.watchAddresses)/m.test(code) }));
}

describe('the code of README and guides', { timeout: 6 * PATIENCE_MS }, () => {
    test('runs', async (t) => {
        const installed = install();
        t.after(() => installed.remove());
        const net = await devnet(t, { epochs: 1, blockTime: 500 });
        copyFileSync(join(root, 'tests/docs/run.mjs'), join(installed.project, 'run.mjs'));
        // One that fails, so that it is known that failures are seen.
        const blocks = [...PAGES.flatMap(runnable), { at: 'wrong', code: "await client.getAccount('NQ00');", ends: true }];
        assert.ok(blocks.length > 15, `${blocks.length} blocks`);
        const work = {
            options: { network: net.network, peers: net.addresses },
            names: { words: WORDS, address: net.funded.address, recipient: `NQ07${' 0000'.repeat(8)}`, validator: VALIDATOR, hash: '' },
            privateKey: net.funded.privateKey,
            blocks,
        };
        writeFileSync(join(installed.project, 'work.json'), JSON.stringify(work));
        const { stdout } = await promisify(execFile)(process.execPath, ['run.mjs', 'work.json'], { cwd: installed.project, timeout: 5 * PATIENCE_MS });
        const [wrong, ...others] = JSON.parse(stdout).filter(({ problem }) => problem).reverse();
        assert.equal(wrong?.at, 'wrong');
        assert.match(wrong.problem, /^invalid-address: /);
        assert.deepEqual(others, []);
    });
});
