// The projects that show the package in its environments, `tests/projects`: what each is built with comes from a lock file of its own.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { root } from './env.mjs';
import { toolsOf } from './tooling.mjs';

/** Where they are. */
export const PROJECTS = join(root, 'tests', 'projects');

/** Installs the tools of all of them, where they are missing; quick otherwise. */
export async function allProjectTools() {
    for (const name of readdirSync(PROJECTS)) await projectTools(name);
}

/** The `node_modules` that a project's lock file asks for, kept in the cache folder; `undefined` if it has no lock file. */
export function projectTools(name) {
    return toolsOf(join(PROJECTS, name), 'projects', `what tests/projects/${name} is built with`);
}
