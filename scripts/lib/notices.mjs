// The licences of what is compiled into the wasm, which whoever hands it on has to hand on, too: `dist/NOTICES.txt`.
//
// Crates that may be used under the Apache License 2.0 are used under that, as the package itself is. Of all others the
// licence is in the file, as it comes with them, each text once.

import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { Failure, capture, root } from './env.mjs';
import { unlessFresh } from './fresh.mjs';

/** As files are called that have licences in them. */
const LICENCE_FILE = /^(licen[cs]e|copying|copyright|notice|unlicense)/i;
/** For crates that name this licence and bring no file. */
const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

/** Writes the file for the wasm of `crates`, compiled for `target`. */
export async function notices(out, crates, target) {
    const file = join(out, 'NOTICES.txt');
    const manifests = readdirSync(join(root, 'crate')).map((name) => join(root, 'crate', name, 'Cargo.toml'));
    const inputs = [join(root, 'Cargo.lock'), join(root, 'Cargo.toml'), join(root, 'scripts/lib/notices.mjs'), ...manifests.filter((name) => existsSync(name))];
    await unlessFresh(out, 'notices', inputs, [file], target, () => writeFileSync(file, text(linked(crates, target))));
}

/** What cargo knows of the packages that end up in the wasm, without our own. */
function linked(crates, target) {
    const wanted = new Set();
    for (const crate of crates) {
        // Those of the target only, and nothing that merely runs while compiling.
        const tree = cargo(['tree', '--locked', '-p', crate, '--target', target, '-e', 'normal,no-proc-macro', '--prefix', 'none', '--format', '{p}']);
        for (const [, name, version] of tree.matchAll(/^(\S+) v(\S+)/gm)) wanted.add(`${name} ${version}`);
    }
    const { packages } = JSON.parse(cargo(['metadata', '--locked', '--format-version', '1', '--filter-platform', target]));
    return packages
        .filter(({ name, version, source }) => source && wanted.has(`${name} ${version}`))
        .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version < b.version ? -1 : 1));
}

function cargo(args) {
    const output = capture('cargo', args);
    if (!output) throw new Failure(`\`cargo ${args[0]}\` failed`);
    return output;
}

function text(packages) {
    const apache = packages.filter(({ license }) => mayBeApache(license));
    const others = new Map();
    for (const made of packages.filter(({ license }) => !mayBeApache(license))) {
        const licence = licenceOf(made);
        others.set(licence, [...(others.get(licence) ?? []), made]);
    }
    const list = (made) => made.map(({ name, version }) => `${name} ${version}`).join(', ');
    const line = '-'.repeat(100);
    return `${[
        'pico-sync-client contains, compiled to WebAssembly, what is listed here. It is itself under the Apache License 2.0: see LICENSE.',
        `These are used under the Apache License 2.0:\n\n${list(apache)}`,
        ...[...others].map(([licence, made]) => `${line}\n\n${list(made)}:\n\n${licence}`),
    ].join('\n\n')}\n`;
}

/** Whether a crate with this SPDX expression may be used under the Apache License alone. */
function mayBeApache(expression) {
    if (!expression) return false;
    // Without \`AND\`, every licence in it is a choice; \`/\` is how that was written once.
    return !/\bAND\b/.test(expression) && expression.split(/\s+OR\s+|\s*\/\s*|[()]/).includes('Apache-2.0');
}

/** The texts that come with a crate; the well-known one if it names that and brings none. */
function licenceOf({ name, version, license, authors, manifest_path }) {
    const dir = dirname(manifest_path);
    const files = readdirSync(dir).filter((file) => LICENCE_FILE.test(file)).sort();
    if (files.length) return files.map((file) => readFileSync(join(dir, file), 'utf8').replaceAll('\r\n', '\n').trim()).join('\n\n');
    if (license === 'MIT') return `Copyright (c) ${authors.map((author) => author.replace(/ <.*/, '')).join(', ') || `the authors of ${name}`}\n\n${MIT}`;
    throw new Failure(`${name} ${version} (${license}) brings no licence text: scripts/lib/notices.mjs has to know it`);
}
