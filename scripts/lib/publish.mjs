// Whether the npm package would work for those who install it: its entry points, and its types in each way to resolve them.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Failure, root, run, say } from './env.mjs';
import { packPackage } from './pack.mjs';

/** Packs as a person would, and rejects with a `Failure` if publint or "are the types wrong" have anything to say about the tarball. */
export async function checkPackage() {
    const folder = mkdtempSync(join(tmpdir(), 'pico-sync-publish-'));
    try {
        const readme = readFileSync(join(root, 'README.md'), 'utf8');
        await run('npm', ['pack', '--pack-destination', folder], { quiet: true });
        if (readFileSync(join(root, 'README.md'), 'utf8') !== readme) throw new Failure('`npm pack` has left another README.md');
        const { name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
        const tarball = join(folder, `${name}-${version}.tgz`);
        // What the other tests try is packed elsewhere.
        const tried = packPackage(join(folder, 'tried'));
        if (!readFileSync(tarball).equals(readFileSync(tried))) throw new Failure('`npm pack` makes another tarball than the tests try');
        await run('publint', ['run', tarball, '--strict'], { quiet: true });
        // It is ES modules only, on purpose: there is one instance of it, and `import()` brings it to CommonJS.
        await run('attw', [tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-emoji'], { quiet: true });
        say('  publint and attw have nothing to say about what `npm pack` makes');
    } finally {
        rmSync(folder, { recursive: true });
    }
}
