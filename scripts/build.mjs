// Builds the npm package into `dist/`: the wasm, the glue around it, the wrapper and the typings.
//
//     node scripts/build.mjs [--dev] [--out DIR]
//
// `--dev` skips the size optimisation and keeps the names of functions, for profiles. Nothing is done again that is up
// to date.
// The tools come from `setup.mjs build`.

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { parseArgs } from 'node:util';
import { brotliCompressSync, constants } from 'node:zlib';

import { rolldown } from 'rolldown';

import { Failure, env, main, root, run, say, step, which } from './lib/env.mjs';
import { factory, factoryTypings, typings } from './lib/glue.mjs';

const TARGET = 'wasm32-unknown-unknown';
/** What the standard library is compiled with already; `wasm-opt` has to be told. */
const WASM_FEATURES = ['bulk-memory', 'multivalue', 'mutable-globals', 'nontrapping-float-to-int', 'reference-types', 'sign-ext'];
/** What all the files that come from wasm are made by. */
const MAKERS = ['scripts/build.mjs', 'scripts/lib/glue.mjs'].map((name) => join(root, name));
/** What the wallet's glue is called while it is not yet a part of `wallet.js`. */
const WALLET_GLUE = 'wallet-core';
/** The module, while it is not yet a part of `index.js`, that says which keys are shipped. */
const KEY_TABLE = 'built-in-keys';
/** The verifying keys that are shipped: `NETWORK.vk`. */
const KEYS = join(root, 'crate', 'zkp', 'keys');
/** The modules of the package. */
const ENTRIES = ['error', 'index', 'worker', 'wallet'];

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
        const glue = await bind(wasm, 'wallet', out, dev);
        writeFileSync(code, glue.code);
        writeFileSync(declarations, factoryTypings(glue.declarations, 'WalletCore'));
    });
}

/** Puts `NAME_bg.wasm` into `out`. Resolves with the glue as a factory, and its declarations as wasm-bindgen wrote them. */
async function bind(wasm, name, out, dev) {
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
        // function lie side by side once they are in the order of their names, which brotli makes 2 % of.
        if (!dev) {
            await step(`Optimising the WebAssembly of ${name}`, () =>
                run('wasm-opt', [plain, '-o', optimised, '-O1', '-O1', '--reorder-functions-by-name', '--strip-producers', '--strip-debug', ...features]),
            );
        }
        copyFileSync(dev ? plain : optimised, join(out, `${name}_bg.wasm`));
        const text = (ending) => readFileSync(join(dir, `${name}.${ending}`), 'utf8');
        return { code: factory(text('js')), declarations: text('d.ts') };
    } finally {
        rmSync(dir, { recursive: true });
    }
}

/** The TypeScript of `package/`: a file for the page, the worker, the wallet, and the error they share; and the typings. */
async function wrapper(out) {
    const source = join(root, 'package');
    const keys = existsSync(KEYS) ? readdirSync(KEYS).filter((name) => name.endsWith('.vk')).sort() : [];
    const networks = keys.map((name) => name.slice(0, -'.vk'.length));
    const made = [...['core.d.ts', 'types.d.ts'].map((name) => join(out, name)), ...['js', 'd.ts'].map((ending) => join(scratch(out), `${WALLET_GLUE}.${ending}`))];
    const inputs = [...files(source), ...made, ...keys.map((name) => join(KEYS, name)), join(root, 'scripts/build.mjs')];
    const shippedKeys = networks.map((network) => `keys/${network}.js`);
    const outputs = [...ENTRIES.flatMap((name) => [`${name}.js`, `${name}.js.map`]), 'index.d.ts', 'wallet.d.ts', ...shippedKeys].map((name) => join(out, name));
    await unlessFresh(out, 'wrapper', inputs, outputs, '', async () => {
        writeKeys(out, networks);
        await step('Checking the types of the wrapper', async () => {
            // The wrapper's own declarations, next to those that came with the cores.
            const rootDirs = [join(source, 'src'), out, scratch(out)];
            const config = { extends: join(source, 'tsconfig.json'), compilerOptions: { rootDirs, outDir: out }, include: [join(source, 'src')] };
            const file = join(scratch(out), 'tsconfig.json');
            writeFileSync(file, JSON.stringify(config));
            await run('tsc', ['-p', file]);
            // The rest is nothing that users import.
            const shipped = reachable(out, ['index.d.ts', 'wallet.d.ts']);
            for (const name of readdirSync(join(source, 'src'))) {
                const declaration = name.replace(/\.ts$/, '.d.ts');
                if (!shipped.has(declaration)) rmSync(join(out, declaration), { force: true });
            }
        });
        await step('Bundling the wrapper', async () => {
            for (const name of ENTRIES) await bundle(join(source, 'src', `${name}.ts`), join(out, `${name}.js`), scratch(out));
        });
    });
}

/** Each network's verifying key as a module of its own, and a table of them for the wrapper. */
function writeKeys(out, networks) {
    rmSync(join(out, 'keys'), { recursive: true, force: true });
    if (networks.length) mkdirSync(join(out, 'keys'));
    for (const network of networks) {
        const key = readFileSync(join(KEYS, `${network}.vk`)).toString('base64');
        writeFileSync(join(out, 'keys', `${network}.js`), `export default '${key}';\n`);
    }
    const table = networks.map((network) => `    '${network}': () => import('./keys/${network}.js'),\n`).join('');
    writeFileSync(join(scratch(out), `${KEY_TABLE}.js`), `export const keys = {\n${table}};\n`);
    const type = `Partial<Record<import('./types.js').Network, () => Promise<{ default: string }>>>`;
    writeFileSync(join(scratch(out), `${KEY_TABLE}.d.ts`), `/** Each loads a key, in base64. */\nexport const keys: ${type};\n`);
}

/** The declarations in `dir` that `names` lead to, with themselves. */
function reachable(dir, names) {
    const seen = new Set();
    const visit = (name) => {
        if (seen.has(name) || !existsSync(join(dir, name))) return;
        seen.add(name);
        for (const [, next] of readFileSync(join(dir, name), 'utf8').matchAll(/from '\.\/(\w+)\.js'/g)) visit(`${next}.d.ts`);
    };
    names.forEach(visit);
    return seen;
}

/**
 * One ES module. The core stays a file of its own: page and worker share it, and each has its instance. So does the
 * error: `instanceof` must know it wherever it comes from. Keys are loaded only where they are needed.
 */
async function bundle(input, file, generated) {
    const build = await rolldown({
        input,
        external: ['./core.js', './error.js', /^\.\/keys\/.+\.js$/],
        resolve: {
            extensionAlias: { '.js': ['.ts', '.js'] },
            alias: Object.fromEntries([WALLET_GLUE, KEY_TABLE].map((name) => [`./${name}.js`, join(generated, `${name}.js`)])),
        },
        // As they stand: where they come from is not where they go.
        makeAbsoluteExternalsRelative: false,
        platform: 'browser',
        transform: { target: 'es2022' },
        treeshake: true,
    });
    try {
        await build.write({ file, format: 'esm', minify: true, comments: false, ...sourceMap });
    } finally {
        await build.close();
    }
}

/** Writes `code` to `file`, without what only people need. */
async function minified(code, file) {
    const id = basename(file);
    const build = await rolldown({
        input: id,
        plugins: [{ name: 'text', resolveId: (name) => (name === id ? join(dirname(file), id) : undefined), load: () => code }],
    });
    try {
        await build.write({ file, format: 'esm', minify: true, ...sourceMap });
    } finally {
        await build.close();
    }
}

/** Maps that hold the sources themselves, as those are not shipped, under names that tell nothing of this machine. */
const sourceMap = {
    sourcemap: true,
    sourcemapPathTransform: (source, map) => {
        const file = resolve(dirname(map), source);
        const ours = relative(join(root, 'package'), file);
        return ours.startsWith('..') ? `../generated/${basename(file)}` : `../${ours.replaceAll(sep, '/')}`;
    },
};

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

/** What a page has to load, as it is and as it travels: for the client, and for the wallet. */
function sizes(out) {
    const brotli = (file) => brotliCompressSync(readFileSync(file), { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
    say('                     raw      brotli');
    const groups = [
        ['core_bg.wasm', 'core.js', 'error.js', 'index.js', 'worker.js'],
        ['wallet_bg.wasm', 'wallet.js', 'error.js'],
    ];
    for (const names of groups) {
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
