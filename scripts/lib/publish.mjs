// Whether the packed npm package would work for those who install it: its entry points, and its types in each way to resolve them.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run, say } from './env.mjs';
import { packPackage } from './pack.mjs';

/** Rejects with a `Failure` if publint or "are the types wrong" have anything to say about the tarball. */
export async function checkPackage() {
    const folder = mkdtempSync(join(tmpdir(), 'pico-sync-publish-'));
    try {
        const tarball = packPackage(folder);
        await run('publint', ['run', tarball, '--strict'], { quiet: true });
        // It is ES modules only, on purpose: there is one instance of it, and `import()` brings it to CommonJS.
        await run('attw', [tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-emoji'], { quiet: true });
        say('  publint and attw have nothing to say about it');
    } finally {
        rmSync(folder, { recursive: true });
    }
}
