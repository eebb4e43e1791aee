// The API reference: made by typedoc from the doc comments of the typings in `dist/`, together with the guides.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Failure, root, run, say } from './env.mjs';
import { toolsOf } from './tooling.mjs';

const TOOLING = join(root, 'docs', 'reference');

/** Writes it to `out`. Anything that typedoc has to warn of is a `Failure`: a public item without a doc comment, a link to nowhere. */
export async function writeReference(out) {
    if (!existsSync(join(root, 'dist', 'index.d.ts'))) throw new Failure('dist/ is empty: `npm run build` makes it');
    const modules = await referenceTools();
    await run(process.execPath, [join(modules, 'typedoc', 'bin', 'typedoc'), '--options', join(TOOLING, 'typedoc.json'), '--out', out], {
        label: 'typedoc',
        onLine: (line) => (line.includes('[info]') ? undefined : line),
    });
}

/** The same, for what typedoc has to say about it. */
export async function checkReference() {
    const out = mkdtempSync(join(tmpdir(), 'pico-sync-reference-'));
    try {
        await writeReference(out);
        say('  every public item is documented, and every link leads somewhere');
    } finally {
        rmSync(out, { recursive: true });
    }
}

/** The `node_modules` with typedoc and its TypeScript, installed unless they are there. */
export function referenceTools() {
    return toolsOf(TOOLING, 'reference', 'typedoc');
}
