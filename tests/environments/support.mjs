// What the tests of the environments share: projects that have the packed package installed, as a user would have it.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { env, root, run } from '../../scripts/lib/env.mjs';
import { packPackage } from '../../scripts/lib/pack.mjs';

const PROJECTS = join(root, 'tests', 'projects');

/** Packs the package once, for any number of projects. Ends with `t`. Resolves with the folder it was unpacked to. */
export function packed(t) {
    const folder = mkdtempSync(join(tmpdir(), 'pico-sync-packed-'));
    t.after(() => rmSync(folder, { recursive: true }));
    execFileSync('tar', ['-xzf', packPackage(folder), '-C', folder]);
    return join(folder, 'package');
}

/**
 * A copy of `tests/projects/NAME`, with the app that they share and with the package among its `node_modules`. Ends with
 * `t`. Resolves with its folder.
 */
export async function project(t, name, installed) {
    const tools = await toolsOf(name);
    const folder = mkdtempSync(join(tmpdir(), `pico-sync-${name}-`));
    t.after(() => rmSync(folder, { recursive: true }));
    for (const source of ['app', name]) cpSync(join(PROJECTS, source), folder, { recursive: true });
    const modules = join(folder, 'node_modules');
    mkdirSync(modules);
    // Links for what never changes. The package itself is a folder: bundlers treat what is linked as the user's own code.
    for (const tool of tools ? readdirSync(tools) : []) symlinkSync(join(tools, tool), join(modules, tool));
    cpSync(installed, join(modules, 'pico-sync-client'), { recursive: true });
    return folder;
}

/** The `node_modules` that a project's lock file asks for, kept for the next time; `undefined` if it has none. */
async function toolsOf(name) {
    const manifests = ['package.json', 'package-lock.json'].map((file) => join(PROJECTS, name, file));
    if (!manifests.every((file) => existsSync(file))) return undefined;
    const hash = createHash('sha256');
    for (const file of manifests) hash.update(readFileSync(file));
    const kept = join(env().cacheDir, 'projects', `${name}-${hash.digest('hex').slice(0, 12)}`);
    if (!existsSync(kept)) {
        // Whole or not at all, whatever interrupts it and whoever else does the same.
        const draft = `${kept}.${process.pid}`;
        mkdirSync(draft, { recursive: true });
        for (const file of manifests) cpSync(file, join(draft, file.split('/').pop()));
        await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: draft, quiet: true });
        try {
            renameSync(draft, kept);
        } catch (error) {
            if (!existsSync(kept)) throw error;
            rmSync(draft, { recursive: true });
        }
    }
    return join(kept, 'node_modules');
}

/** Runs a tool of the project in `folder` to its end, as `npx` would. */
export function tool(folder, script, args) {
    return run(process.execPath, [join(folder, 'node_modules', script), ...args], { cwd: folder, quiet: true });
}
