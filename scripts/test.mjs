// `npm test`: everything that can be checked, from a clean checkout, cheapest first. Stops at the first stage
// that fails.
//
//     npm test [-- STAGE …]      only those stages; `npm test -- --list` names them

import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { cargo } from './lib/cargo.mjs';
import { buildNode } from './lib/devnet.mjs';
import { Failure, bold, dim, elapsed, green, main, red, root, run, say } from './lib/env.mjs';
import { CLIENT_FILES, WALLET_FILES } from './lib/loaded.mjs';
import { buildPage } from './lib/page.mjs';
import { checkPackage } from './lib/publish.mjs';
import { checkReference } from './lib/reference.mjs';
import { runTests } from './lib/run-tests.mjs';
import { compressed } from './serve.mjs';
import { setup } from './setup.mjs';

/** What a page may have to download before it can create a client: wasm and JavaScript, with brotli. Bytes. */
const SIZE_LIMIT = 650_000;
/** The same for the wallet, which is loaded apart. */
const WALLET_SIZE_LIMIT = 150_000;
const WASM = ['--target', 'wasm32-unknown-unknown'];
/** The crates that become wasm. */
const WASM_CRATES = ['pico-sync', 'pico-network', 'pico-zkp', 'pico-sync-client', 'pico-wallet'].flatMap((name) => ['-p', name]);
/** The circuits and the prover. Not of the whole workspace: they would be in every binary. */
const PROVER = ['-p', 'pico-zkp', '--features', 'prover'];
const DENY = ['--', '-D', 'warnings'];

/** Name → what it is, and the work. */
const STAGES = {
    setup: ['Everything needed is installed', () => setup()],
    format: ['Rust is formatted', () => run('cargo', ['fmt', '--all', '--check'])],
    package: ['The npm package builds', () => run(process.execPath, ['scripts/build.mjs'], { label: 'package' })],
    size: ['The package is small enough', checkSize],
    publish: ['The package can be published', checkPackage],
    types: ['The typings fit the contract, and the page fits the typings', checkTypes],
    docs: ['The API reference is complete', checkReference],
    page: ['The page builds', buildPage],
    node: ['The node builds', buildNode],
    rust: [
        'Rust tests, native',
        async () => {
            await cargo(['test', '--locked', '--workspace', '--no-fail-fast'], { label: 'rust', packages: ['pico-node'] });
            await cargo(['test', '--locked', ...PROVER, '--lib', '--no-fail-fast'], { label: 'rust, circuits', packages: ['pico-node'] });
        },
    ],
    wasm: [
        'Rust tests, in headless Chrome',
        () => run('wasm-pack', ['test', '--headless', '--chrome', 'crate/client', '--locked'], { label: 'wasm' }),
    ],
    lint: [
        'Clippy finds nothing, natively and for wasm',
        async () => {
            await cargo(['clippy', '--locked', '--workspace', '--all-targets', ...DENY], { label: 'clippy', packages: ['pico-node'] });
            await cargo(['clippy', '--locked', ...PROVER, '-p', 'pico-node', '--features', 'pico-node/prover', '--all-targets', ...DENY], { label: 'clippy, prover', packages: ['pico-node'] });
            await cargo(['clippy', '--locked', ...WASM_CRATES, '--lib', ...WASM, ...DENY], { label: 'clippy, wasm', packages: ['pico-sync-client'] });
            await cargo(['clippy', '--locked', '-p', 'pico-sync-client', '--all-targets', ...WASM, ...DENY], { label: 'clippy, wasm tests', packages: ['pico-sync-client'] });
        },
    ],
    e2e: ['Browser tests', () => runTests(testFiles('tests'))],
};

main(async () => {
    const wanted = process.argv.slice(2);
    if (wanted[0] === '--list') {
        for (const [name, [title]] of Object.entries(STAGES)) say(`${name.padEnd(8)} ${title}`);
        return 0;
    }
    const unknown = wanted.find((name) => !STAGES[name]);
    if (unknown) throw new Failure(`there is no stage "${unknown}"; there are: ${Object.keys(STAGES).join(', ')}`);

    const stages = Object.entries(STAGES).filter(([name]) => wanted.length === 0 || wanted.includes(name));
    const times = [];
    let failure;
    let result;
    const begin = performance.now();
    for (const [i, [name, [title, work]]] of stages.entries()) {
        say(`\n${bold(`[${i + 1}/${stages.length}] ${name}`)} ${dim(title)}`);
        const from = performance.now();
        try {
            result = await work();
        } catch (error) {
            failure = { name, error };
        }
        times.push([name, performance.now() - from, !failure]);
        if (failure) break;
    }

    say(`\n${bold('Summary')}`);
    for (const [name, ms, passed] of times) say(`  ${passed ? green('✓') : red('✗')} ${name.padEnd(8)} ${elapsed(ms).padStart(12)}`);
    for (const [name] of stages.slice(times.length)) say(`  ${dim(`– ${name.padEnd(8)}      not run`)}`);
    say(`  ${'total'.padEnd(10)} ${elapsed(performance.now() - begin).padStart(12)}`);
    if (failure) {
        say(`${red('✗')} stage "${failure.name}" failed: ${failure.error instanceof Failure ? failure.error.message : failure.error.stack}`);
        say(dim(`  again: npm test -- ${failure.name}`));
    }
    const counted = failure?.error.counts ?? result;
    if (Number.isInteger(counted?.passed)) process.stdout.write(`${counted.passed} passed, ${counted.failed} failed\n`);
    return failure ? 1 : 0;
});

/** Everything a page loads where the files are beside the script, as it travels. */
function checkSize() {
    if (!existsSync(join(root, 'dist', 'index.js'))) throw new Failure('dist/ is empty: the package is not built');
    const problems = [measure('the client', CLIENT_FILES, SIZE_LIMIT), measure('the wallet', WALLET_FILES, WALLET_SIZE_LIMIT)].filter(Boolean);
    if (problems.length) throw new Failure(problems.join('; '));
}

/** Says what each of the files takes; returns what is wrong if they take too much together. */
function measure(what, files, limit) {
    let total = 0;
    for (const name of files) {
        const file = join(root, 'dist', name);
        const size = compressed(readFileSync(file)).length;
        total += size;
        say(`  ${name.padEnd(16)} ${String(statSync(file).size).padStart(9)} bytes, ${String(size).padStart(7)} with brotli`);
    }
    say(`  ${what.padEnd(16)} ${' '.repeat(16)} ${String(total).padStart(7)} of ${limit} allowed`);
    return total > limit ? `${what} takes ${total} bytes with brotli, ${total - limit} more than it may` : undefined;
}

async function checkTypes() {
    await run('tsc', ['-p', 'tests/types'], { label: 'contract' });
    await run('tsc', ['-p', 'www'], { label: 'page' });
}

/** Every `*.test.mjs` under `folder`, those that need no network of nodes first. */
function testFiles(folder) {
    const files = readdirSync(join(root, folder), { recursive: true })
        .filter((name) => name.endsWith('.test.mjs'))
        .map((name) => join(root, folder, name))
        .sort();
    const last = (name) => Number(name.includes(`${join(folder, 'e2e')}`));
    return files.sort((a, b) => last(a) - last(b));
}
