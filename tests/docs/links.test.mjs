// Links from one page of the repository to another, or to a file, lead somewhere.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, test } from 'node:test';

import { root } from '../../scripts/lib/env.mjs';
import { PAGES, anchors, prose, read } from './markdown.mjs';

/** Where links of the package's README lead, as it is read elsewhere. */
const REPOSITORY = 'https://github.com/pico-sync/pico-sync';

/** What is wrong with a link in `page`, or nothing. */
function problem(page, link) {
    const inside = link.startsWith(`${REPOSITORY}/blob/main/`) ? link.slice(`${REPOSITORY}/blob/main/`.length) : undefined;
    if (!inside && /^[a-z]+:/.test(link)) return undefined;
    const [path, anchor] = (inside ?? link).split('#');
    const file = inside ? path : path ? relative(root, join(root, dirname(page), path)) : page;
    if (!existsSync(join(root, file))) return 'there is no such file';
    if (anchor && !anchors(read(file)).includes(anchor)) return 'there is no such heading';
    return undefined;
}

describe('links', () => {
    for (const page of PAGES) {
        test(`of ${page} lead somewhere`, () => {
            const problems = prose(read(page)).flatMap((line, i) =>
                [...line.matchAll(/\]\(([^)\s]+)\)/g)]
                    .map(([, link]) => [link, problem(page, link)])
                    .filter(([, found]) => found)
                    .map(([link, found]) => `${page}:${i + 1} ${link}: ${found}`),
            );
            assert.deepEqual(problems, []);
        });
    }

    test('to nowhere are found', () => {
        assert.equal(problem('README.md', 'docs/nothing.md'), 'there is no such file');
        assert.equal(problem('docs/zkp.md', 'gateway.md#nothing'), 'there is no such heading');
        assert.equal(problem('docs/zkp.md', `${REPOSITORY}/blob/main/docs/nothing.md`), 'there is no such file');
        assert.equal(problem('docs/zkp.md', 'https://nimiq.com'), undefined);
    });
});
