// Packing the npm package. Its README is not the repository's, but npm takes whatever README.md lies beside package.json.
//
// `npm pack` therefore finds the two exchanged while it runs (`scripts/pack.mjs`). What was there is kept in a file first, so
// that whatever interrupts it, the next of our commands puts it back. Tests pack from a folder of their own instead, and
// leave the checkout alone.

import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { Failure, capture, root } from './env.mjs';

/** The README that the package ships, from the checkout's root. */
const README = join('package', 'README.md');
/** While a pack is under way, or after one was interrupted: what README.md held, and what stands there instead. */
const KEPT = '.readme-while-packing.json';

/** Puts the package's README in the place of the repository's. */
export function exchangeReadme(checkout = root) {
    restoreReadme(checkout);
    const [ours, theirs] = ['README.md', README].map((name) => readFileSync(join(checkout, name), 'utf8'));
    // What must not get lost is on the disk, whole, before anything is replaced.
    write(join(checkout, KEPT), JSON.stringify({ repository: ours, package: theirs }));
    write(join(checkout, 'README.md'), theirs);
}

/** Puts the repository's README back if a pack has put another one there. Returns whether it had. */
export function restoreReadme(checkout = root) {
    const kept = join(checkout, KEPT);
    if (!existsSync(kept)) return false;
    const before = JSON.parse(readFileSync(kept, 'utf8'));
    const file = join(checkout, 'README.md');
    // Anything else was put there by a person, or by git: theirs is newer than what was kept.
    const exchanged = existsSync(file) && readFileSync(file, 'utf8') === before.package;
    if (exchanged) write(file, before.repository);
    rmSync(kept);
    return exchanged;
}

/** Writes a file in one go: whoever reads it, or interrupts this, finds the old text or the new one. */
function write(file, text) {
    const draft = `${file}.draft`;
    writeFileSync(draft, text);
    renameSync(draft, file);
}

/**
 * Packs what `npm pack` packs, as it is built, and without touching the checkout: any number of these can run at a time.
 * Returns the path of the tarball in `folder`.
 */
export function packPackage(folder) {
    if (!existsSync(join(root, 'dist', 'index.js'))) throw new Failure('dist/ is empty: `npm run build` makes it');
    const stage = mkdtempSync(join(tmpdir(), 'pico-sync-pack-'));
    try {
        for (const name of ['package.json', 'LICENSE', 'CHANGELOG.md']) copyFileSync(join(root, name), join(stage, name));
        copyFileSync(join(root, README), join(stage, 'README.md'));
        cpSync(join(root, 'dist'), join(stage, 'dist'), { recursive: true });
        mkdirSync(folder, { recursive: true });
        const answer = capture('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', resolve(folder)], { cwd: stage });
        if (!answer) throw new Failure('`npm pack` failed');
        return join(resolve(folder), JSON.parse(answer)[0].filename);
    } finally {
        rmSync(stage, { recursive: true });
    }
}
