// What the tests of the packed package share: the package, packed and installed as npm would install it.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';

import { packPackage } from '../../scripts/lib/pack.mjs';

/** A project in a folder of its own that has the packed package among its `node_modules`, at `path`. */
export function install() {
    const project = mkdtempSync(join(tmpdir(), 'pico-sync-project-'));
    const tarball = packPackage(project);
    const path = join(project, 'node_modules', 'pico-sync-client');
    mkdirSync(join(project, 'node_modules'));
    execFileSync('tar', ['-xzf', tarball, '-C', project]);
    renameSync(join(project, 'package'), path);
    return { project, path, tarball, remove: () => rmSync(project, { recursive: true }) };
}

/** Every file under `folder`, as paths with slashes, sorted. */
export function filesIn(folder) {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, '/'))
        .sort();
}
