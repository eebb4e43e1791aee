// Tools that have a lock file of their own, in a folder that is not the checkout's root: what only some work needs, or what would not
// go together. They are installed into the cache folder, once for all checkouts with the same lock file.

import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

import { env, run, step } from './env.mjs';

const MANIFESTS = ['package.json', 'package-lock.json'];

/**
 * The `node_modules` that the lock file in `folder` asks for, installed unless they are there; `undefined` if it has no lock file. `kind` is
 * where the cache keeps them, `what` what a person is told.
 */
export async function toolsOf(folder, kind, what) {
    if (!MANIFESTS.every((name) => existsSync(join(folder, name)))) return undefined;
    const hash = createHash('sha256');
    for (const name of MANIFESTS) hash.update(readFileSync(join(folder, name)));
    const parent = join(env().cacheDir, kind);
    const kept = join(parent, `${basename(folder)}-${hash.digest('hex').slice(0, 12)}`);
    if (!existsSync(kept)) {
        mkdirSync(parent, { recursive: true });
        // Whole or not at all, whatever interrupts it and whoever else does the same.
        const draft = mkdtempSync(join(parent, 'draft-'));
        try {
            for (const name of MANIFESTS) cpSync(join(folder, name), join(draft, name));
            await step(`Installing ${what}`, () => run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: draft, quiet: true }));
            renameSync(draft, kept);
        } catch (error) {
            rmSync(draft, { recursive: true, force: true });
            if (!existsSync(kept)) throw error;
        }
    }
    return join(kept, 'node_modules');
}
