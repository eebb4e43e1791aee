// What `npm pack` puts into the tarball: all that it takes, and nothing else.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { env, root } from '../../scripts/lib/env.mjs';
import { filesIn, install } from './support.mjs';

/** The modules that are made of TypeScript, or minified: each has a map back. */
const MAPPED = ['core', 'error', 'index', 'wallet', 'worker', 'embedded/index', 'embedded/wallet', 'node/index', 'node/worker'];
const FILES = [
    'CHANGELOG.md', 'LICENSE', 'README.md', 'package.json',
    'dist/client.d.ts', 'dist/error.d.ts', 'dist/index.d.ts', 'dist/types.d.ts', 'dist/wallet.d.ts', 'dist/worker.d.ts',
    'dist/core_bg.wasm', 'dist/wallet_bg.wasm',
    'dist/keys/unit-albatross.js', 'dist/NOTICES.txt',
    'dist/embedded/embedded-core.js', 'dist/embedded/embedded-wallet.js', 'dist/node/socket-node.js',
    ...MAPPED.flatMap((name) => [`dist/${name}.js`, `dist/${name}.js.map`]),
];

const text = (name) => readFileSync(join(installed.path, name), 'utf8');

let installed;
let manifest;
before(() => {
    installed = install();
    manifest = JSON.parse(text('package.json'));
});
after(() => installed?.remove());

describe('the tarball', () => {
    test('has these files', () => {
        assert.deepEqual(filesIn(installed.path), FILES.toSorted());
    });

    test('installs nothing else, and runs nothing', () => {
        for (const key of ['dependencies', 'peerDependencies', 'optionalDependencies', 'bundleDependencies', 'bin']) assert.equal(manifest[key], undefined, key);
        for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) assert.equal(manifest.scripts[name], undefined, name);
    });

    test('says whose it is, and from where', () => {
        assert.equal(manifest.name, 'pico-sync-client');
        assert.equal(manifest.license, 'Apache-2.0');
        assert.equal(text('LICENSE'), readFileSync(join(root, 'LICENSE'), 'utf8'));
        // Provenance is refused where this is not the repository that publishes.
        assert.match(manifest.repository.url, /^git\+https:\/\/github\.com\/[\w-]+\/[\w-]+\.git$/);
        assert.deepEqual(manifest.publishConfig, { access: 'public', provenance: true });
        for (const key of ['description', 'homepage', 'bugs', 'author', 'keywords']) assert.ok(manifest[key], key);
        assert.match(text('CHANGELOG.md'), new RegExp(`^## \\[${manifest.version.replaceAll('.', '\\.')}\\]`, 'm'));
    });

    test('hands on the licences of what it contains', () => {
        const notices = text('dist/NOTICES.txt');
        // One under the Apache License by choice, one with its own text, one that names its licence only, one with two that both hold.
        for (const crate of [/\bnimiq-block 2\./, /\btokio 1\./, /\blibp2p-swarm 0\./, /\bunicode-normalization 0\./]) assert.match(notices, crate);
        for (const words of ['Copyright (c) Tokio Contributors', 'Parity Technologies', 'UNICODE LICENSE V3', 'Permission is hereby granted']) {
            assert.ok(notices.includes(words), words);
        }
        assert.ok(!/^pico-|\bpico-(sync|network|zkp|wallet) /m.test(notices.split('\n').slice(1).join('\n')), 'our own crates are listed');
        assert.ok(text('dist/node/socket-node.js').includes('Copyright (c) 2011 Einar Otto Stangvik'));
    });

    test('has a README that works outside the repository', () => {
        const readme = text('README.md');
        assert.match(readme, /^# pico-sync-client\n/);
        const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, link]) => link);
        assert.ok(links.length > 0);
        assert.deepEqual(links.filter((link) => !link.startsWith('https://')), []);
    });

    test('has every file that its entry points name, types first', () => {
        const targets = (entry) => (typeof entry === 'string' ? [entry] : Object.values(entry).flatMap(targets));
        for (const [name, entry] of Object.entries(manifest.exports)) {
            for (const target of targets(entry)) assert.ok(FILES.includes(target.replace('./', '')), `${name}: ${target}`);
            if (typeof entry === 'object') assert.equal(Object.keys(entry)[0], 'types', name);
        }
        assert.equal(manifest.type, 'module');
        // Workers are nothing else; what is not one is free of them.
        assert.deepEqual(manifest.sideEffects, ['./dist/worker.js', './dist/node/worker.js']);
    });

    test('has every module that its modules and types import', () => {
        const references = /(?:from|import|import\()\s*["'`](\.{1,2}\/[^"'`]+)["'`]|new URL\(["'`]([^"'`]+)["'`]/g;
        for (const name of FILES.filter((name) => /\.(js|d\.ts)$/.test(name))) {
            for (const [, imported, asset] of text(name).matchAll(references)) {
                const target = join(dirname(name), imported ?? asset).replaceAll('\\', '/');
                const file = name.endsWith('.d.ts') ? target.replace(/\.js$/, '.d.ts') : target;
                assert.ok(FILES.includes(file), `${name} imports ${imported ?? asset}`);
            }
        }
    });

    test('tells nothing about the machine that made it', () => {
        for (const name of FILES) {
            const bytes = readFileSync(join(installed.path, name));
            for (const path of [root, env().cacheDir, homedir(), tmpdir()]) {
                // Short ones, as of a container's `/` or `/root`, may stand for something else.
                if (path.length > 5) assert.ok(!bytes.includes(`${path}/`), `${name} has ${path}`);
            }
        }
    });
});

describe('the source maps', () => {
    for (const name of MAPPED) {
        test(`of ${name}.js hold their sources`, () => {
            const map = JSON.parse(text(`dist/${name}.js.map`));
            assert.ok(text(`dist/${name}.js`).trimEnd().endsWith(`//# sourceMappingURL=${basename(name)}.js.map`));
            assert.ok(map.sources.length > 0);
            assert.equal(map.sourcesContent.length, map.sources.length);
            assert.ok(map.sourcesContent.every((source) => typeof source === 'string' && source.length > 0));
            // They are not shipped as files: names to be told apart by, that could be nowhere else on a disk.
            for (const source of map.sources) assert.match(source, name.includes('/') ? /^\.\.\/\.\.\/(src|generated)\/[\w/-]+\.(ts|js)$/ : /^\.\.\/(src|generated)\/[\w/-]+\.(ts|js)$/);
        });
    }

    test('lead from a place in a module to the line it is from', () => {
        const code = text('dist/index.js').split('\n');
        const payload = JSON.parse(text('dist/index.js.map'));
        const phrase = 'Closing: ';
        const line = code.findIndex((part) => part.includes(phrase));
        assert.ok(line >= 0);
        const { originalSource, originalLine } = new SourceMap(payload).findEntry(line, code[line].indexOf(phrase));
        assert.match(originalSource, /src\/client\.ts$/);
        const source = payload.sourcesContent[payload.sources.findIndex((name) => name.endsWith('client.ts'))].split('\n');
        assert.ok(source[originalLine].includes(phrase), source[originalLine]);
    });
});
