// Builds the npm package into `dist/`: the wasm, the glue around it, the wrapper and the typings.
//
//     node scripts/build.mjs [--dev] [--out DIR]
//
// `--dev` skips the size optimisation and keeps the names of functions, for profiles. Nothing is done again that is up
// to date.
// The tools come from `setup.mjs build`.

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { brotliCompressSync, constants } from 'node:zlib';

import { env, main, root, run, say, step } from './lib/env.mjs';
import { scratch, unlessFresh } from './lib/fresh.mjs';
import { factory, factoryTypings, typings } from './lib/glue.mjs';
import { CLIENT_FILES, WALLET_FILES } from './lib/loaded.mjs';
import { minified } from './lib/minify.mjs';
import { notices } from './lib/notices.mjs';
import { WALLET_GLUE, wrapper } from './lib/wrapper.mjs';

const TARGET = 'wasm32-unknown-unknown';
/** What the standard library is compiled with already; `wasm-opt` has to be told. */
const WASM_FEATURES = ['bulk-memory', 'multivalue', 'mutable-globals', 'nontrapping-float-to-int', 'reference-types', 'sign-ext'];
/** Up to which size functions become part of who calls them; with one caller only, and in general. */
const INLINED = ['--inlining-optimizing', '--one-caller-inline-max-function-size', '24', '--always-inline-max-function-size', '4'];
/** What all the files that come from wasm are made by. */
const MAKERS = ['scripts/build.mjs', 'scripts/lib/glue.mjs', 'scripts/lib/minify.mjs'].map((name) => join(root, name));

main(async () => {
    const { values } = parseArgs({ options: { dev: { type: 'boolean', default: false }, out: { type: 'string', default: 'dist' } } });
    const out = resolve(root, values.out);
    mkdirSync(out, { recursive: true });
    // One after the other: cargo would give each the features that the other needs.
    const client = await step('Compiling the client to WebAssembly', () => compile('pico-sync-client'));
    await core(client, out, values.dev);
    const keys = await step('Compiling the wallet to WebAssembly', () => compile('pico-wallet'));
    await wallet(keys, out, values.dev);
    await wrapper(out);
    await notices(out, ['pico-sync-client', 'pico-wallet'], TARGET);
    sizes(out);
});

/** Compiles a crate. Cargo knows best what is up to date. */
async function compile(crate) {
    await run('cargo', ['fetch', '--locked', '--target', TARGET], { quiet: true });
    await run('cargo', ['build', '--locked', '-p', crate, '--profile', 'wasm', '--target', TARGET], {
        env: { CARGO_ENCODED_RUSTFLAGS: remappedPaths().join('\x1f') },
    });
    return join(env().targetDir, TARGET, 'wasm', `${crate.replaceAll('-', '_')}.wasm`);
}

/** Panic messages name source files: by crate, not by where this machine keeps them. Smaller, and the same everywhere. */
function remappedPaths() {
    const cargoHome = process.env.CARGO_HOME || join(process.env.HOME, '.cargo');
    const registry = join(cargoHome, 'registry', 'src');
    const sources = existsSync(registry) ? readdirSync(registry) : [];
    // Those of the workspace are relative as they are.
    return sources.map((name) => `--remap-path-prefix=${join(registry, name)}=crates`);
}

/** `core_bg.wasm`, the glue as a factory, and the typings of both. */
async function core(wasm, out, dev) {
    const outputs = ['core.js', 'core.js.map', 'core.d.ts', 'types.d.ts', 'core_bg.wasm'].map((name) => join(out, name));
    await unlessFresh(out, 'core', [wasm, ...MAKERS], outputs, dev ? 'dev' : 'small', async () => {
        const glue = await bind(wasm, 'core', out, dev);
        await minified(glue.code, join(out, 'core.js'));
        const types = typings(glue.declarations);
        writeFileSync(join(out, 'core.d.ts'), types.core);
        writeFileSync(join(out, 'types.d.ts'), types.public);
    });
}

/** `wallet_bg.wasm`. Its glue becomes a part of `wallet.js`: nothing else makes instances of it. */
async function wallet(wasm, out, dev) {
    const [code, declarations] = ['js', 'd.ts'].map((ending) => join(scratch(out), `${WALLET_GLUE}.${ending}`));
    await unlessFresh(out, 'wallet', [wasm, ...MAKERS], [code, declarations, join(out, 'wallet_bg.wasm')], dev ? 'dev' : 'small', async () => {
        const glue = await bind(wasm, 'wallet', out, dev, { now: true });
        writeFileSync(code, glue.code);
        writeFileSync(declarations, factoryTypings(glue.declarations, 'WalletCore', { now: true }));
    });
}

/** Puts `NAME_bg.wasm` into `out`. Resolves with the glue as a factory, of these `options`, and its
 *  declarations as wasm-bindgen wrote them. */
async function bind(wasm, name, out, dev, options) {
    // A folder of its own: two builds at a time must not take each other's files.
    const dir = mkdtempSync(join(scratch(out), 'glue-'));
    try {
        await step(`Making the JavaScript glue of ${name}`, () =>
            run('wasm-bindgen', [wasm, '--target', 'web', '--out-dir', dir, '--out-name', name, '--remove-producers-section']),
        );
        const plain = join(dir, `${name}_bg.wasm`);
        const optimised = join(dir, `${name}_bg.opt.wasm`);
        const features = WASM_FEATURES.map((feature) => `--enable-${feature}`);
        // LLVM has optimised for size with the whole program in view. Measured on the client, `-O1` takes
        // 15 s; what `-Oz` makes is smaller as it is and 6 % larger after brotli. Functions that stem from one generic
        // function lie side by side once they are in the order of their names, which brotli makes 2 % of. Browsers compile
        // each function when it is first called, at a price for each: the smallest become part of who calls them, which makes
        // a sixth fewer, and the download 1 % smaller. Without limits it would be 8 % larger.
        if (!dev) {
            await step(`Optimising the WebAssembly of ${name}`, () =>
                run('wasm-opt', [plain, '-o', optimised, '-O1', ...INLINED, '-O1', '--reorder-functions-by-name', '--strip-producers', '--strip-debug', ...features]),
            );
        }
        copyFileSync(dev ? plain : optimised, join(out, `${name}_bg.wasm`));
        const text = (ending) => readFileSync(join(dir, `${name}.${ending}`), 'utf8');
        return { code: factory(text('js'), options), declarations: text('d.ts') };
    } finally {
        rmSync(dir, { recursive: true });
    }
}

/** What a page has to load, as it is and as it travels: for the client, and for the wallet. */
function sizes(out) {
    const brotli = (file) => brotliCompressSync(readFileSync(file), { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
    say('                     raw      brotli');
    for (const names of [CLIENT_FILES, WALLET_FILES]) {
        const rows = names.map((name) => {
            const file = join(out, name);
            return { name, raw: statSync(file).size, brotli: brotli(file) };
        });
        const total = { name: 'total', raw: sum(rows, 'raw'), brotli: sum(rows, 'brotli') };
        for (const row of [...rows, total]) say(`${row.name.padEnd(14)}${String(row.raw).padStart(10)}${String(row.brotli).padStart(12)}`);
    }
}

function sum(rows, key) {
    return rows.reduce((total, row) => total + row[key], 0);
}
