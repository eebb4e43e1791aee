// Builds the npm package into `dist/`: the wasm, the glue around it, the wrapper and the typings.
//
//     node scripts/build.mjs [--dev] [--out DIR]
//
// `--dev` skips the size optimisation and keeps the names of functions, for profiles. Nothing is done again that is up
// to date.
// The tools come from `setup.mjs build`.

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { brotliCompressSync, constants } from 'node:zlib';

import { rolldown } from 'rolldown';

import { Failure, env, main, root, run, say, step, which } from './lib/env.mjs';
import { factory, typings } from './lib/glue.mjs';

const TARGET = 'wasm32-unknown-unknown';
/** What the standard library is compiled with already; `wasm-opt` has to be told. */
const WASM_FEATURES = ['bulk-memory', 'multivalue', 'mutable-globals', 'nontrapping-float-to-int', 'reference-types', 'sign-ext'];

main(async () => {
    const { values } = parseArgs({ options: { dev: { type: 'boolean', default: false }, out: { type: 'string', default: 'dist' } } });
    const out = resolve(root, values.out);
    mkdirSync(out, { recursive: true });
    const wasm = await step('Compiling the client to WebAssembly', compile);
    await core(wasm, out, values.dev);
    await wrapper(out);
    sizes(out);
});

/** Compiles the crate. Cargo knows best what is up to date. */
async function compile() {
    await run('cargo', ['fetch', '--locked', '--target', TARGET], { quiet: true });
    await run('cargo', ['build', '--locked', '-p', 'pico-sync-client', '--profile', 'wasm', '--target', TARGET], {
        env: { CARGO_ENCODED_RUSTFLAGS: remappedPaths().join('\x1f') },
    });
    return join(env().targetDir, TARGET, 'wasm', 'pico_sync_client.wasm');
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
    const inputs = [wasm, join(root, 'scripts/build.mjs'), join(root, 'scripts/lib/glue.mjs')];
    const outputs = ['core.js', 'core.d.ts', 'types.d.ts', 'core_bg.wasm'].map((name) => join(out, name));
    await unlessFresh(out, 'core', inputs, outputs, dev ? 'dev' : 'small', async () => {
        // A folder of its own: two builds at a time must not take each other's files.
        const glue = mkdtempSync(join(scratch(out), 'glue-'));
        await step('Making the JavaScript glue', () =>
            run('wasm-bindgen', [wasm, '--target', 'web', '--out-dir', glue, '--out-name', 'core', '--remove-producers-section']),
        );
        writeFileSync(join(out, 'core.js'), await minified(factory(readFileSync(join(glue, 'core.js'), 'utf8'))));
        const types = typings(readFileSync(join(glue, 'core.d.ts'), 'utf8'));
        writeFileSync(join(out, 'core.d.ts'), types.core);
        writeFileSync(join(out, 'types.d.ts'), types.public);
        const plain = join(glue, 'core_bg.wasm');
        const optimised = join(glue, 'core_bg.opt.wasm');
        const features = WASM_FEATURES.map((feature) => `--enable-${feature}`);
        // LLVM has optimised for size with the whole program in view. Measured on this client, `-O1` takes
        // 15 s; `-Oz` takes many minutes in its inliner, and without that comes out larger after brotli.
        if (!dev) {
            await step('Optimising the WebAssembly', () =>
                run('wasm-opt', [plain, '-o', optimised, '-O1', '--strip-producers', '--strip-debug', ...features]),
            );
        }
        copyFileSync(dev ? plain : optimised, join(out, 'core_bg.wasm'));
        rmSync(glue, { recursive: true });
    });
}

/** The TypeScript of `package/`: one file for the page, one for the worker, and the typings. */
async function wrapper(out) {
    const source = join(root, 'package');
    const inputs = [...files(source), ...['core.d.ts', 'types.d.ts'].map((name) => join(out, name)), join(root, 'scripts/build.mjs')];
    const outputs = ['index.js', 'index.d.ts', 'worker.js'].map((name) => join(out, name));
    await unlessFresh(out, 'wrapper', inputs, outputs, '', async () => {
        await step('Checking the types of the wrapper', async () => {
            // The wrapper's own declarations, next to those that came with the core.
            const config = { extends: join(source, 'tsconfig.json'), compilerOptions: { rootDirs: [join(source, 'src'), out], outDir: out }, include: [join(source, 'src')] };
            const file = join(scratch(out), 'tsconfig.json');
            writeFileSync(file, JSON.stringify(config));
            await run('tsc', ['-p', file]);
            for (const name of readdirSync(out)) {
                // Nothing that users import.
                if (['instance.d.ts', 'messages.d.ts', 'module.d.ts', 'verifier.d.ts', 'worker.d.ts', 'events.d.ts'].includes(name)) rmSync(join(out, name));
            }
        });
        await step('Bundling the wrapper', async () => {
            for (const name of ['index', 'worker']) await bundle(join(source, 'src', `${name}.ts`), join(out, `${name}.js`));
        });
    });
}

/** One ES module. The core stays a file of its own: page and worker share it, and each has its instance. */
async function bundle(input, file) {
    const build = await rolldown({
        input,
        external: ['./core.js'],
        resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
        platform: 'browser',
        transform: { target: 'es2022' },
        treeshake: true,
    });
    try {
        await build.write({ file, format: 'esm', minify: true, sourcemap: false, comments: false });
    } finally {
        await build.close();
    }
}

/** `code` without what only people need. */
async function minified(code) {
    const id = '\0core';
    const build = await rolldown({
        input: id,
        plugins: [{ name: 'text', resolveId: (name) => (name === id ? id : undefined), load: (name) => (name === id ? code : undefined) }],
    });
    try {
        const { output } = await build.generate({ format: 'esm', minify: true });
        return output[0].code;
    } finally {
        await build.close();
    }
}

/** Does `work` unless the outputs were made from the same inputs in the same way. */
async function unlessFresh(out, name, inputs, outputs, how, work) {
    // Not in `out`: all of that is shipped.
    const stamp = join(scratch(out), `${name}.stamp`);
    const hash = createHash('sha256').update(how);
    for (const file of inputs) hash.update(relative(root, file)).update(readFileSync(file));
    const wanted = hash.digest('hex');
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted && outputs.every((file) => existsSync(file))) return;
    rmSync(stamp, { force: true });
    await work();
    for (const file of outputs) if (!existsSync(file)) throw new Failure(`${relative(root, file)} was not made`);
    writeFileSync(stamp, wanted);
}

/** A folder for what is on its way to `out`. */
function scratch(out) {
    const dir = join(env().cacheDir, 'package', createHash('sha256').update(out).digest('hex').slice(0, 12));
    mkdirSync(dir, { recursive: true });
    return dir;
}

function files(dir) {
    return readdirSync(dir, { withFileTypes: true })
        .flatMap((entry) => (entry.isDirectory() ? files(join(dir, entry.name)) : [join(dir, entry.name)]))
        .sort();
}

/** What a page has to load, as it is and as it travels. */
function sizes(out) {
    const brotli = (file) => brotliCompressSync(readFileSync(file), { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
    const rows = ['core_bg.wasm', 'core.js', 'index.js', 'worker.js'].map((name) => {
        const file = join(out, name);
        return { name, raw: statSync(file).size, brotli: brotli(file) };
    });
    const total = { name: 'total', raw: sum(rows, 'raw'), brotli: sum(rows, 'brotli') };
    say('                     raw      brotli');
    for (const row of [...rows, total]) say(`${row.name.padEnd(14)}${String(row.raw).padStart(10)}${String(row.brotli).padStart(12)}`);
}

function sum(rows, key) {
    return rows.reduce((total, row) => total + row[key], 0);
}
