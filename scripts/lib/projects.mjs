// The projects that show the package in its environments, `tests/projects`: what each is built with comes from a lock file of its own.

import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { env, root, run, step } from './env.mjs';

/** Where they are. */
export const PROJECTS = join(root, 'tests', 'projects');
const MANIFESTS = ['package.json', 'package-lock.json'];

/** Installs the tools of all of them, where they are missing; quick otherwise. */
export async function allProjectTools() {
    for (const name of readdirSync(PROJECTS)) await projectTools(name);
}

/** The `node_modules` that a project's lock file asks for, kept in the cache folder; `undefined` if it has no lock file. */
export async function projectTools(name) {
    const manifests = MANIFESTS.map((file) => join(PROJECTS, name, file));
    if (!manifests.every((file) => existsSync(file))) return undefined;
    const hash = createHash('sha256');
    for (const file of manifests) hash.update(readFileSync(file));
    const kept = join(env().cacheDir, 'projects', `${name}-${hash.digest('hex').slice(0, 12)}`);
    if (!existsSync(kept)) {
        // Whole or not at all, whatever interrupts it and whoever else does the same.
        const draft = `${kept}.${process.pid}`;
        rmSync(draft, { recursive: true, force: true });
        mkdirSync(draft, { recursive: true });
        for (const file of MANIFESTS) cpSync(join(PROJECTS, name, file), join(draft, file));
        await step(`Installing what tests/projects/${name} is built with`, () =>
            run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: draft, quiet: true }),
        );
        try {
            renameSync(draft, kept);
        } catch (error) {
            if (!existsSync(kept)) throw error;
            rmSync(draft, { recursive: true });
        }
    }
    return join(kept, 'node_modules');
}
