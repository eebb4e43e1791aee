// What the tests of the environments share: projects that have the packed package installed, as a user would have it.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { run } from '../../scripts/lib/env.mjs';
import { packPackage } from '../../scripts/lib/pack.mjs';
import { PROJECTS, projectTools } from '../../scripts/lib/projects.mjs';
import { scratchFolder } from '../scratch.mjs';

/** Packs the package once, for any number of projects. Returns the folder it was unpacked to. */
export function packed() {
    const folder = scratchFolder('packed');
    execFileSync('tar', ['-xzf', packPackage(folder), '-C', folder]);
    return join(folder, 'package');
}

/**
 * A copy of `tests/projects/NAME`, with the app that they share and with the package among its `node_modules`. Resolves
 * with its folder.
 */
export async function project(name, installed) {
    const tools = await projectTools(name);
    const folder = scratchFolder(name);
    for (const source of ['app', name]) cpSync(join(PROJECTS, source), folder, { recursive: true });
    const modules = join(folder, 'node_modules');
    mkdirSync(modules);
    // Links for what never changes. The package itself is a folder: bundlers treat what is linked as the user's own code.
    for (const tool of tools ? readdirSync(tools) : []) symlinkSync(join(tools, tool), join(modules, tool));
    cpSync(installed, join(modules, 'pico-sync-client'), { recursive: true });
    return folder;
}

/** Runs a tool of the project in `folder` to its end, as `npx` would. */
export function tool(folder, script, args) {
    return run(process.execPath, [join(folder, 'node_modules', script), ...args], { cwd: folder, quiet: true });
}
