// Installs what is missing, and only that. Safe to run any number of times.
//
//     node scripts/setup.mjs [build] [node] [browser] [wasm-test] [lint] [projects] [docs]
//
// A goal names what one wants to do next: `build` the npm package, build the native `node`, drive a `browser`, run
// `wasm-test`s, `lint`, build the test `projects`, make the `docs`. Without one, all of them. Tools built by cargo go to
// the cache folder (`env.mjs`), npm packages to `node_modules` or, if they have a lock file of their own, to the cache,
// the rest comes from rustup and the system's packages; anything that needs root is said before it is done.

import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Failure, capture, env, main, root, run, say, start, step, which } from './lib/env.mjs';
import { restoreReadme } from './lib/pack.mjs';
import { allProjectTools } from './lib/projects.mjs';
import { referenceTools } from './lib/reference.mjs';
import { atLeast, lockedVersion, rustVersion } from './lib/toml.mjs';

const WASM = 'wasm32-unknown-unknown';
const WASM_PACK = '0.15.1';

/** Each goal and the checks it needs, cheapest and most basic first. */
const GOALS = {
    build: [rust, wasmTarget, npmPackages, wasmBindgen],
    node: [rust, compiler, libclang],
    browser: [npmPackages, browser],
    'wasm-test': [rust, wasmTarget, browser, chromedriver, wasmBindgen, wasmPack],
    lint: [rust, rustComponents],
    projects: [allProjectTools],
    docs: [referenceTools],
};

/** Installs whatever the goals need and is not there. */
export async function setup(...goals) {
    for (const goal of goals) {
        if (!GOALS[goal]) throw new Failure(`unknown goal "${goal}"; there are: ${Object.keys(GOALS).join(', ')}`);
    }
    const wanted = goals.length ? goals : Object.keys(GOALS);
    nodeVersion();
    if (restoreReadme()) say('  README.md is the repository’s again: a pack had been interrupted');
    for (const check of new Set(wanted.flatMap((goal) => GOALS[goal]))) await check();
}

function nodeVersion() {
    const oldest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node.replace('>=', '');
    if (!atLeast(process.versions.node, oldest)) {
        throw new Failure(`Node ${process.versions.node} is too old: ${oldest} or newer is needed (https://nodejs.org)`);
    }
}

/** Said to be there already; installing a toolchain is the user's choice, so this only explains. */
function rust() {
    const version = capture('rustc', ['--version'])?.match(/^rustc (\d+\.\d+\.\d+)/)?.[1];
    if (!version || !which('cargo')) {
        throw new Failure('Rust is missing. Install it with rustup (https://rustup.rs), then run this again.');
    }
    if (!atLeast(version, rustVersion())) {
        throw new Failure(`Rust ${version} is too old: ${rustVersion()} or newer is needed. \`rustup update stable\` brings it.`);
    }
}

async function rustComponents() {
    for (const [component, command] of [['rustfmt', 'rustfmt'], ['clippy', 'clippy-driver']]) {
        if (capture(command, ['--version'])) continue;
        await step(`Adding ${component} to the Rust toolchain`, () => run('rustup', ['component', 'add', component]));
    }
}

async function wasmTarget() {
    const installed = () => {
        const dir = capture('rustc', ['--print', 'target-libdir', '--target', WASM]);
        return dir && existsSync(dir) && readdirSync(dir).some((file) => file.startsWith('libstd-'));
    };
    if (installed()) return;
    if (!which('rustup')) {
        throw new Failure(`Rust's ${WASM} target is missing, and there is no rustup to add it. Install the target for your toolchain.`);
    }
    await step(`Adding Rust's ${WASM} target`, () => run('rustup', ['target', 'add', WASM]));
    if (!installed()) throw new Failure(`rustup added ${WASM}, but to another toolchain than \`rustc\` is of`);
}

/** `npm ci`, unless `node_modules` holds exactly what the lock file says. */
async function npmPackages() {
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
    let installed;
    try {
        installed = JSON.parse(readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8')).packages;
    } catch {
        installed = {}; // Never installed, or an install was interrupted.
    }
    // Packages for other platforms are marked optional and rightly absent.
    const differs = ([path, wanted]) =>
        path && (installed[path] ? installed[path].integrity !== wanted.integrity : !wanted.optional);
    const stray = Object.keys(installed).some((path) => !lock[path]);
    if (!stray && !Object.entries(lock).some(differs)) return;
    await step('Installing npm packages', () => run('npm', ['ci', '--ignore-scripts'], { quiet: true }));
}

async function wasmBindgen() {
    // The command must be of the same version as the crate: the two share an unversioned format.
    const version = lockedVersion('wasm-bindgen');
    const installed = capture('wasm-bindgen', ['--version'])?.split(' ')[1];
    if (installed === version && which('wasm-bindgen-test-runner')) return;
    await cargoInstall('wasm-bindgen-cli', version, 'a few minutes, once');
}

async function wasmPack() {
    if (!which('wasm-pack')) await cargoInstall('wasm-pack', WASM_PACK, 'about two minutes, once');
}

async function cargoInstall(name, version, howLong) {
    const { cacheDir, toolsDir } = env();
    const buildDir = join(cacheDir, 'tools-build');
    // Unoptimised: building is what takes the time, and running these takes none.
    const args = ['install', name, '--version', version, '--root', toolsDir, '--debug', '--force'];
    const options = { label: name, env: { CARGO_TARGET_DIR: buildDir, CARGO_PROFILE_DEV_DEBUG: 'false' } };
    await step(`Installing ${name} ${version} to ${toolsDir} (${howLong})`, async () => {
        const locked = await run('cargo', [...args, '--locked'], { ...options, allowFailure: true });
        if (locked.code !== 0) {
            // A mirror may lack a version that the tool's own lock file names.
            say('  with its own lock file that failed; trying with what the registry has');
            await run('cargo', args, options);
        }
    });
    rmSync(buildDir, { recursive: true, force: true });
}

function compiler() {
    if (which('cc') || which('gcc') || which('clang')) return;
    throw new Failure('A C compiler is missing (on Debian and Ubuntu: `apt-get install build-essential`)');
}

/** libmdbx's bindings are generated with libclang when the node is built. */
async function libclang() {
    if (process.env.LIBCLANG_PATH || findLibclang()) return;
    await systemPackages(['libclang-dev'], 'libclang, to build the node’s database', 'set LIBCLANG_PATH to the folder that holds it');
    if (!findLibclang()) throw new Failure('libclang was installed but is not where it is expected: set LIBCLANG_PATH to its folder');
}

function findLibclang() {
    const isLib = (file) => /^libclang(-[\d.]+)?\.(so|dylib)/.test(file);
    const list = (dir) => {
        try {
            return readdirSync(dir);
        } catch {
            return []; // No such folder.
        }
    };
    const dirs = ['/usr/lib', '/usr/lib64', '/usr/local/lib', '/usr/local/opt/llvm/lib', '/opt/homebrew/opt/llvm/lib',
        '/Library/Developer/CommandLineTools/usr/lib'];
    for (const dir of list('/usr/lib')) {
        if (dir.startsWith('llvm')) dirs.push(`/usr/lib/${dir}/lib`);
        if (dir.includes('-linux-gnu')) dirs.push(`/usr/lib/${dir}`);
    }
    return dirs.find((dir) => list(dir).some(isLib));
}

/** The browser that tests, benchmarks and `npm start -- --headless` drive, or `undefined`. */
export function findBrowser() {
    if (process.env.CHROME_PATH) return process.env.CHROME_PATH;
    for (const name of ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']) {
        const file = which(name);
        if (file) return file;
    }
    const mac = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome';
    return existsSync(mac) ? mac : undefined;
}

async function browser() {
    if (process.env.CHROME_PATH && !existsSync(process.env.CHROME_PATH)) {
        throw new Failure(`CHROME_PATH names a file that does not exist: ${process.env.CHROME_PATH}`);
    }
    if (!findBrowser()) await systemPackages(['chromium'], 'Chromium, to run the client in', 'set CHROME_PATH to a Chrome or Chromium');
}

async function chromedriver() {
    if (which('chromedriver') || process.env.CHROMEDRIVER) return;
    await systemPackages(['chromium-driver'], 'chromedriver, for the wasm tests', 'put a chromedriver of your Chrome’s version on PATH');
}

/** Installs Debian packages, as root or by `sudo`, and says so first. */
async function systemPackages(packages, what, otherwise) {
    if (!which('apt-get')) {
        throw new Failure(`${what} is missing, and this is not a Debian-like system: install it, or ${otherwise}`);
    }
    const asRoot = process.getuid() === 0;
    if (!asRoot && !which('sudo')) {
        throw new Failure(`${what} is missing: run \`apt-get install ${packages.join(' ')}\` as root, or ${otherwise}`);
    }
    say(`  ${what}: ${packages.join(', ')} will be installed by apt-get${asRoot ? '' : ', with sudo (it may ask for your password)'}`);
    const apt = (label, ...args) =>
        step(label, async () => {
            const child = asRoot
                ? start('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env: { ...env().processEnv, DEBIAN_FRONTEND: 'noninteractive' } })
                : start('sudo', ['DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args], { stdio: ['inherit', 'ignore', 'inherit'] });
            const code = await new Promise((done, fail) => child.once('error', fail).once('close', done));
            if (code !== 0) throw new Failure(`apt-get ${args[0]} failed (exit code ${code}): install ${packages.join(' ')} by hand, or ${otherwise}`);
        });
    const known = packages.every((name) => /Candidate: (?!\(none\))/.test(capture('apt-cache', ['policy', name]) || ''));
    if (!known) await apt('Updating apt’s package lists', 'update', '-qq');
    await apt(`Installing ${packages.join(' ')}`, 'install', '-y', '-qq', '--no-install-recommends', ...packages);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    main(async () => {
        await setup(...process.argv.slice(2));
        say('Everything needed is installed.');
    });
}
