// The code in README and guides, as strictly checked as users' own: against the packed package, and, where a guide shows code for
// `@nimiq/core`, against that. A block has the names that `context.d.ts` declares, and those that it imports itself.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { root } from '../../scripts/lib/env.mjs';
import { install } from '../publish/support.mjs';
import { PAGES, fences, read } from './markdown.mjs';
import { compile } from './support.mjs';

let installed;
before(() => {
    installed = install();
    symlinkSync(join(root, 'node_modules', '@nimiq'), join(installed.project, 'node_modules', '@nimiq'));
    copyFileSync(join(root, 'tests/docs/context.d.ts'), join(installed.project, 'context.d.ts'));
});
after(() => installed?.remove());

/** Writes the blocks of a page as modules whose lines have the numbers that they have in the page. */
function extract(page) {
    const folder = join(installed.project, page);
    mkdirSync(folder, { recursive: true });
    const blocks = fences(read(page)).filter(({ language }) => ['js', 'ts'].includes(language));
    for (const { language, line, code } of blocks) {
        // A module, also if it imports nothing.
        writeFileSync(join(folder, `line-${line}.${language}`), `export {};${'\n'.repeat(line - 1)}${code}\n`);
    }
    return blocks.length;
}

describe('the code', () => {
    test('of README and guides compiles', async () => {
        const counts = Object.fromEntries(PAGES.map((page) => [page, extract(page)]));
        for (const page of ['README.md', 'package/README.md', 'docs/first-sync.md', 'docs/events.md', 'docs/accounts-and-payments.md', 'docs/migration.md']) {
            assert.ok(counts[page] > 0, `${page} has no code`);
        }
        assert.equal(compile(installed.project, ['**/*.js', '**/*.ts']), '');
    });

    test('that is wrong does not', () => {
        const folder = join(installed.project, 'wrong');
        mkdirSync(folder);
        writeFileSync(join(folder, 'method.js'), 'export {};\n\nawait client.getBalance();\n');
        writeFileSync(join(folder, 'luna.ts'), 'export const fee: number = (await client.getAccount(address)).balance;\n');
        const output = compile(installed.project, ['wrong/*']);
        assert.match(output, /method\.js[(:]3.*getBalance/);
        assert.match(output, /luna\.ts.*'bigint' is not assignable/);
    });
});
