// The API reference: made by typedoc from the doc comments of the typings in `dist/`, together with the guides.

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Failure, env, root, run, say, step } from './env.mjs';

const TOOLING = join(root, 'docs', 'reference');

/** Writes it to `out`. Anything that typedoc has to warn of is a `Failure`: a public item without a doc comment, a link to nowhere. */
export async function writeReference(out) {
    if (!existsSync(join(root, 'dist', 'index.d.ts'))) throw new Failure('dist/ is empty: `npm run build` makes it');
    const modules = await install();
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

/** typedoc and its TypeScript, kept for every checkout whose lock file is the same. Returns their `node_modules`. */
async function install() {
    const hash = createHash('sha256').update(readFileSync(join(TOOLING, 'package-lock.json'))).digest('hex').slice(0, 12);
    const dir = join(env().cacheDir, 'reference', hash);
    const modules = join(dir, 'node_modules');
    if (existsSync(modules)) return modules;
    const draft = `${dir}.${process.pid}`;
    mkdirSync(draft, { recursive: true });
    try {
        for (const name of ['package.json', 'package-lock.json']) copyFileSync(join(TOOLING, name), join(draft, name));
        await step('Installing typedoc', () => run('npm', ['ci', '--ignore-scripts'], { cwd: draft, quiet: true }));
        // Somebody else may have been quicker.
        if (!existsSync(modules)) renameSync(draft, dir);
    } finally {
        rmSync(draft, { recursive: true, force: true });
    }
    return modules;
}
