// Builds the demo page in `www/` with Vite, unless nothing it is made of changed.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { root, run } from './env.mjs';

/** The built page. */
export const pageDir = join(root, 'www', 'dist');

/** Builds the page from `www/` and `dist/`; resolves with whether there was something to do. */
export async function buildPage() {
    const stampFile = join(pageDir, '.stamp');
    const stamp = hashOf([join(root, 'www'), join(root, 'dist'), join(root, 'package-lock.json')]);
    if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return false;
    await run('vite', ['build', 'www', '--logLevel', 'warn'], { label: 'page' });
    writeFileSync(stampFile, stamp);
    return true;
}

/** A hash of the names and contents of files and folders; what builds leave in them is not looked at. */
export function hashOf(paths) {
    const hash = createHash('sha256');
    const add = (path) => {
        let entries;
        try {
            entries = readdirSync(path).sort();
        } catch (error) {
            if (error.code !== 'ENOTDIR') throw error;
            hash.update(`${path}\0`).update(readFileSync(path));
            return;
        }
        for (const entry of entries) {
            const inner = join(path, entry);
            if (inner !== pageDir && entry !== 'node_modules') add(inner);
        }
    };
    paths.forEach(add);
    return hash.digest('hex');
}
