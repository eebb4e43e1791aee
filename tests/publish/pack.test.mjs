// That packing leaves the repository's README where it was, however it ends.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { root } from '../../scripts/lib/env.mjs';
import { exchangeReadme, restoreReadme } from '../../scripts/lib/pack.mjs';

let checkout;
beforeEach(() => {
    checkout = mkdtempSync(join(tmpdir(), 'pico-sync-readme-'));
    mkdirSync(join(checkout, 'package'));
    writeFileSync(join(checkout, 'README.md'), 'of the repository');
    writeFileSync(join(checkout, 'package', 'README.md'), 'of the package');
});
afterEach(() => rmSync(checkout, { recursive: true }));

const readme = () => readFileSync(join(checkout, 'README.md'), 'utf8');

describe('while a package is packed', () => {
    test('it has its own README, and the repository its own again afterwards', () => {
        exchangeReadme(checkout);
        assert.equal(readme(), 'of the package');
        assert.equal(restoreReadme(checkout), true);
        assert.equal(readme(), 'of the repository');
        assert.deepEqual(readdirSync(checkout).sort(), ['README.md', 'package']);
        assert.equal(restoreReadme(checkout), false);
    });

    test('an interruption loses nothing: packing again, or restoring, mends it', () => {
        exchangeReadme(checkout);
        exchangeReadme(checkout);
        assert.equal(readme(), 'of the package');
        restoreReadme(checkout);
        assert.equal(readme(), 'of the repository');
    });

    test('neither does one in which the package’s README has changed', () => {
        exchangeReadme(checkout);
        writeFileSync(join(checkout, 'package', 'README.md'), 'of the package, but newer');
        exchangeReadme(checkout);
        assert.equal(readme(), 'of the package, but newer');
        restoreReadme(checkout);
        assert.equal(readme(), 'of the repository');
    });

    test('what a person or git has put there since is left alone', () => {
        exchangeReadme(checkout);
        writeFileSync(join(checkout, 'README.md'), 'from another branch');
        assert.equal(restoreReadme(checkout), false);
        assert.equal(readme(), 'from another branch');
        assert.deepEqual(readdirSync(checkout).sort(), ['README.md', 'package']);
    });

    test('git does not see what is kept', () => {
        const ignored = spawnSync('git', ['check-ignore', '.readme-while-packing.json'], { cwd: root, encoding: 'utf8' });
        // A checkout without git has nothing to ask.
        if (existsSync(join(root, '.git'))) assert.equal(ignored.stdout.trim(), '.readme-while-packing.json');
    });
});

describe('npm publish', () => {
    test('of the folder is refused, with what to do', () => {
        const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/pack.mjs'), 'publish'], { encoding: 'utf8' });
        assert.equal(status, 1);
        assert.match(stderr, /npm publish pico-sync-client-VERSION\.tgz/);
    });
});
