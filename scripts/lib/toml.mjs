// The two facts the scripts need from cargo's files. Not a TOML parser: cargo writes `Cargo.lock` in one
// fixed form, and `rust-version` is a line of its own.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Failure, root } from './env.mjs';

/** The version of `name` in `Cargo.lock`. */
export function lockedVersion(name) {
    const lock = readFileSync(join(root, 'Cargo.lock'), 'utf8');
    const found = lock.match(new RegExp(`^name = "${name}"\\nversion = "([^"]+)"`, 'm'));
    if (!found) throw new Failure(`Cargo.lock does not name ${name}`);
    return found[1];
}

/** The oldest Rust the workspace builds with. */
export function rustVersion() {
    const found = readFileSync(join(root, 'Cargo.toml'), 'utf8').match(/^rust-version = "([\d.]+)"/m);
    if (!found) throw new Failure('Cargo.toml does not say its rust-version');
    return found[1];
}

/** Is version `a` at least `b`? Both as `1.2.3`. */
export function atLeast(a, b) {
    const [x, y] = [a, b].map((version) => version.split('.').map(Number));
    for (let i = 0; i < 3; i++) if ((x[i] || 0) !== (y[i] || 0)) return (x[i] || 0) > (y[i] || 0);
    return true;
}
