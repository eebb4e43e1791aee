// The TypeScript of `package/`, as the package ships it: the typings, and three builds of the same modules.
//
// - `dist/`: for whoever has the files beside a module at hand: static servers, and bundlers that take them along.
// - `dist/embedded/`: for bundlers that don't: the wasm and the worker are text in modules.
// - `dist/node/`: for Node.
//
// They differ in where the wasm, workers and sockets come from, and by nothing else.

import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, deflateSync } from 'node:zlib';

import { rolldown } from 'rolldown';

import { root, run, step } from './env.mjs';
import { scratch, unlessFresh } from './fresh.mjs';
import { sourceMap } from './minify.mjs';

/** What the wallet's glue is called while it is not yet a part of `wallet.js`. */
export const WALLET_GLUE = 'wallet-core';
/** The module, while it is not yet a part of `index.js`, that says which keys are shipped. */
const KEY_TABLE = 'built-in-keys';
/** The verifying keys that are shipped: `NETWORK.vk`. */
const KEYS = join(root, 'crate', 'zkp', 'keys');
const SOURCE = join(root, 'package', 'src');
/** The library that Node 20's WebSocket comes from. */
const WS = join(root, 'node_modules', 'ws');

/** Each folder's modules, by the source that they are made from; and what stands in there for which module of the sources. */
const BUILDS = [
    { folder: '.', entries: { error: 'error', index: 'index', worker: 'worker', wallet: 'wallet' }, instead: {} },
    {
        folder: 'embedded',
        entries: { index: 'index', wallet: 'wallet' },
        instead: { platform: 'platform-embedded', 'wallet-files': 'wallet-embedded' },
    },
    { folder: 'node', entries: { index: 'index', worker: 'worker-node' }, instead: { platform: 'platform-node' } },
];
/** Stay files of their own, one for all builds. The core is for page and worker, each of which has its instance; `instanceof`
 *  must know the error wherever it comes from; keys are loaded only where they are needed. */
const SHARED = /^\.\/(core\.js|error\.js|keys\/.+\.js)$/;
/** Stay files of their own, next to what imports them: large, and not needed at once or not to be mapped. */
const APART = ['embedded-core', 'embedded-wallet', 'socket-node'].map((name) => `./${name}.js`);
/** The modules with typings. */
const TYPED = ['index.d.ts', 'wallet.d.ts', 'worker.d.ts'];

/** Makes everything in `out` that is not made from wasm alone; that has to be there. */
export async function wrapper(out) {
    const generated = scratch(out);
    const keys = existsSync(KEYS) ? readdirSync(KEYS).filter((name) => name.endsWith('.vk')).sort() : [];
    const networks = keys.map((name) => name.slice(0, -'.vk'.length));
    const made = ['core.js', 'core.d.ts', 'types.d.ts', 'core_bg.wasm', 'wallet_bg.wasm'].map((name) => join(out, name));
    const glue = ['js', 'd.ts'].map((ending) => join(generated, `${WALLET_GLUE}.${ending}`));
    const inputs = [
        ...files(join(root, 'package')), ...made, ...glue, ...keys.map((name) => join(KEYS, name)),
        join(WS, 'package.json'), join(root, 'scripts', 'lib', 'wrapper.mjs'),
    ];
    const modules = BUILDS.flatMap(({ folder, entries }) => Object.keys(entries).map((name) => join(folder, `${name}.js`)));
    const outputs = [
        ...modules.flatMap((name) => [name, `${name}.map`]), ...TYPED, ...networks.map((network) => `keys/${network}.js`),
        'embedded/embedded-core.js', 'embedded/embedded-wallet.js', 'node/socket-node.js',
    ].map((name) => join(out, name));
    await unlessFresh(out, 'wrapper', inputs, outputs, '', async () => {
        writeKeys(out, generated, networks);
        await step('Checking the types of the wrapper', () => declarations(out, generated));
        await step('Bundling the wrapper', async () => {
            for (const build of BUILDS) {
                if (build.folder !== '.') rmSync(join(out, build.folder), { recursive: true, force: true });
                for (const [name, source] of Object.entries(build.entries)) {
                    await bundle(join(SOURCE, `${source}.ts`), join(out, build.folder, `${name}.js`), { ...build, generated });
                }
            }
            await embed(out);
            await socket(out);
        });
    });
}

/** Each network's verifying key as a module of its own, and a table of them for the wrapper. */
function writeKeys(out, generated, networks) {
    rmSync(join(out, 'keys'), { recursive: true, force: true });
    if (networks.length) mkdirSync(join(out, 'keys'));
    for (const network of networks) {
        const key = readFileSync(join(KEYS, `${network}.vk`)).toString('base64');
        writeFileSync(join(out, 'keys', `${network}.js`), `export default '${key}';\n`);
    }
    const table = networks.map((network) => `    '${network}': () => import('./keys/${network}.js'),\n`).join('');
    writeFileSync(join(generated, `${KEY_TABLE}.js`), `export const keys = {\n${table}};\n`);
    const type = `Partial<Record<import('./types.js').Network, () => Promise<{ default: string }>>>`;
    writeFileSync(join(generated, `${KEY_TABLE}.d.ts`), `/** Each loads a key, in base64. */\nexport const keys: ${type};\n`);
}

/** Checks the sources, and writes the typings of the modules that have some. */
async function declarations(out, generated) {
    const base64 = '/** Of the wasm. */\nexport const wasm: string;\n';
    writeFileSync(join(generated, 'embedded-wallet.d.ts'), base64);
    writeFileSync(join(generated, 'embedded-core.d.ts'), `${base64}/** The worker's script. */\nexport const worker: string;\n`);
    // The wrapper's own declarations, next to those that came with the cores.
    const rootDirs = [SOURCE, out, generated];
    const config = { extends: join(root, 'package', 'tsconfig.json'), compilerOptions: { rootDirs, outDir: out }, include: [SOURCE] };
    const file = join(generated, 'tsconfig.json');
    writeFileSync(file, JSON.stringify(config));
    await run('tsc', ['-p', file]);
    // The rest is nothing that users import.
    const shipped = reachable(out, TYPED);
    for (const name of readdirSync(SOURCE)) {
        const declaration = name.replace(/\.ts$/, '.d.ts');
        if (!shipped.has(declaration)) rmSync(join(out, declaration), { force: true });
    }
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

/** One ES module of a build. */
async function bundle(input, file, { folder, instead, generated }) {
    const up = folder === '.' ? './' : '../';
    const others = new Map(Object.entries(instead).map(([name, other]) => [`./${name}.js`, join(SOURCE, `${other}.ts`)]));
    const build = await rolldown({
        input,
        plugins: [{
            name: 'apart',
            resolveId: (name) => {
                if (SHARED.test(name)) return { id: `${up}${name.slice('./'.length)}`, external: true };
                if (APART.includes(name)) return { id: name, external: true };
                return others.get(name);
            },
        }],
        resolve: { extensionAlias: { '.js': ['.ts', '.js'] }, alias: aliases(generated) },
        // As they stand: where they come from is not where they go.
        makeAbsoluteExternalsRelative: false,
        platform: folder === 'node' ? 'node' : 'browser',
        transform: { target: 'es2022' },
        treeshake: true,
    });
    try {
        await build.write({ file, format: 'esm', minify: true, comments: false, ...sourceMap(folder === '.' ? '..' : '../..') });
    } finally {
        await build.close();
    }
}

/** Where modules are found that were made on the way here. */
function aliases(generated) {
    return Object.fromEntries([WALLET_GLUE, KEY_TABLE].map((name) => [`./${name}.js`, join(generated, `${name}.js`)]));
}

/** What is a file in `dist/`, as text in modules. */
async function embed(out) {
    const folder = join(out, 'embedded');
    const write = (name, exported) => {
        const lines = Object.entries(exported).map(([name, text]) => `export const ${name} = ${JSON.stringify(text)};\n`);
        writeFileSync(join(folder, `${name}.js`), lines.join(''));
    };
    // Text that stems from deflated bytes is no larger over the wire than those; from plain ones, a third larger than
    // they are with brotli. Inflating takes a promise, which the wallet has no time for.
    const core = deflateSync(readFileSync(join(out, 'core_bg.wasm')), { level: constants.Z_BEST_COMPRESSION, memLevel: 9 });
    write('embedded-core', { wasm: core.toString('base64'), worker: await workerScript(out) });
    write('embedded-wallet', { wasm: readFileSync(join(out, 'wallet_bg.wasm')).toString('base64') });
}

/** The worker as one classic script, which more browsers start than modules. */
async function workerScript(out) {
    const build = await rolldown({
        input: join(SOURCE, 'worker.ts'),
        plugins: [{ name: 'core', resolveId: (name) => (name === './core.js' ? join(out, 'core.js') : undefined) }],
        resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
        platform: 'browser',
        transform: { target: 'es2022' },
    });
    try {
        const { output } = await build.generate({ format: 'iife', minify: true, comments: false });
        return output[0].code;
    } finally {
        await build.close();
    }
}

/** `ws`, with the licence that it is under, in a file that only those load who have no WebSocket. */
async function socket(out) {
    const { version } = JSON.parse(readFileSync(join(WS, 'package.json'), 'utf8'));
    const licence = readFileSync(join(WS, 'LICENSE'), 'utf8').trim();
    const build = await rolldown({
        input: join(SOURCE, 'socket-node.ts'),
        platform: 'node',
        // Native helpers that it would take if they happened to be installed.
        transform: { target: 'es2022', define: { 'process.env.WS_NO_BUFFER_UTIL': '"1"', 'process.env.WS_NO_UTF_8_VALIDATE': '"1"' } },
    });
    try {
        await build.write({
            file: join(out, 'node', 'socket-node.js'),
            format: 'esm',
            minify: true,
            comments: false,
            postBanner: `/*!\nThis file contains ws ${version}, which is under the following licence.\n\n${licence}\n*/`,
        });
    } finally {
        await build.close();
    }
}

function files(dir) {
    return readdirSync(dir, { withFileTypes: true })
        .flatMap((entry) => (entry.isDirectory() ? files(join(dir, entry.name)) : [join(dir, entry.name)]))
        .sort();
}
