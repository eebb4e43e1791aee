// Where everything lives, and how the scripts run other programs.
//
// One place for paths and for `PATH`, so that every script finds the same tools: those of the cache
// folder first, then the ones npm installed, then the system's. Installing them is `setup.mjs`'s job.

import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** An error whose message is meant for the person at the terminal: shown without a stack. */
export class Failure extends Error {}

/**
 * Folders, and the environment that child processes get.
 *
 * - `cacheDir`: `PICO_SYNC_CACHE`, else `$XDG_CACHE_HOME/pico-sync`, else `~/.cache/pico-sync`. Outside the
 *   checkout, so that a fresh clone builds from what an older one left.
 * - `targetDir`: cargo's build folder (`CARGO_TARGET_DIR` if that is set).
 * - `toolsDir`: `cargo install --root`; its `bin` comes first on `PATH`.
 */
export function env() {
    const cacheDir = resolve(
        process.env.PICO_SYNC_CACHE ||
            join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pico-sync'),
    );
    const targetDir = resolve(process.env.CARGO_TARGET_DIR || join(cacheDir, 'target'));
    const toolsDir = join(cacheDir, 'tools');
    const path = [
        join(toolsDir, 'bin'),
        join(root, 'node_modules', '.bin'),
        // rustup's own folder: there before a fresh login shell has put it on PATH.
        join(process.env.CARGO_HOME || join(homedir(), '.cargo'), 'bin'),
        ...(process.env.PATH || '').split(delimiter),
    ];
    const processEnv = {
        ...process.env,
        PATH: [...new Set(path)].join(delimiter),
        CARGO_TARGET_DIR: targetDir,
    };
    return { root, cacheDir, targetDir, toolsDir, processEnv };
}

/** The file that `command` resolves to on the scripts' `PATH`, or `undefined`. */
export function which(command) {
    for (const dir of env().processEnv.PATH.split(delimiter)) {
        const file = join(dir, command);
        try {
            accessSync(file, constants.X_OK);
            if (statSync(file).isFile()) return file;
        } catch {
            // Not here: the next folder.
        }
    }
    return undefined;
}

/** Runs `command` and returns what it printed, trimmed; `undefined` if it is missing or failed. */
export function capture(command, args = [], options = {}) {
    const done = spawnSync(command, args, {
        cwd: root,
        env: env().processEnv,
        encoding: 'utf8',
        maxBuffer: 256 * 1024 * 1024,
        stdio: ['ignore', 'pipe', 'pipe'],
        ...options,
    });
    return done.status === 0 ? done.stdout.trim() : undefined;
}

const children = new Set();
let interrupted = false;

/** Sends every running child `signal`. Installed for the ways a script can end before them. */
function endChildren(signal = 'SIGTERM') {
    for (const child of children) child.kill(signal);
}
process.once('exit', () => endChildren());

let cleanUp = async () => {};
let endCode;

/**
 * What else to do when the user or a supervisor ends this process, after its children were told to. It gets 5 s.
 * The exit code is `code`, or the shell's usual one for the signal.
 */
export function endOnSignals(work, code) {
    cleanUp = work;
    endCode = code;
}

/** Whoever ends this process ends what it started: by default, that would live on. */
function watchSignals() {
    let since;
    for (const [signal, usual] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
        process.on(signal, async () => {
            if (interrupted) {
                // Ctrl-C under npm arrives twice, from the terminal and from npm. Later means impatience.
                if (performance.now() - since > 500) process.exit(usual);
                return;
            }
            interrupted = true;
            since = performance.now();
            setTimeout(() => process.exit(usual), 5000);
            endChildren('SIGTERM');
            try {
                await cleanUp();
            } catch (error) {
                say(`${red('✗')} while ending: ${error.message}`);
                process.exit(usual);
            }
            process.exit(endCode ?? usual);
        });
    }
}

/** Starts `command` without waiting, with the scripts' environment; ended with this process. */
export function start(command, args = [], options = {}) {
    const child = spawn(command, args, { cwd: root, env: env().processEnv, ...options });
    children.add(child);
    child.once('close', () => children.delete(child));
    child.once('error', () => children.delete(child));
    return child;
}

/**
 * Runs `command` to its end, each line of its output on stderr behind `label`.
 *
 * Options: `label` (default: the command's name), `env` (added to the scripts' own), `cwd`, `quiet` (output
 * is kept and shown only on failure), `onLine` (gets each line; what it returns is shown instead),
 * `allowFailure` (resolve with the code), `timeoutMs`.
 * Resolves with `{ code, output }` (`output`: the last 64 kB), rejects with `Failure`.
 */
export function run(command, args = [], options = {}) {
    const { label = command.split('/').pop(), quiet = false, onLine = (line) => line, allowFailure = false, timeoutMs } = options;
    return new Promise((done, fail) => {
        const child = start(command, args, {
            cwd: options.cwd || root,
            env: { ...env().processEnv, ...options.env },
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        let output = '';
        let timedOut = false;
        const timer = timeoutMs
            ? setTimeout(() => {
                  timedOut = true;
                  child.kill('SIGKILL');
              }, timeoutMs)
            : undefined;
        const show = (raw) => {
            // Programs that redraw one line use a bare \r: the last state of it is what counts.
            const line = onLine(raw.split('\r').pop());
            if (line !== undefined) say(`${dim(`${label} │`)} ${line}`);
        };
        for (const stream of [child.stdout, child.stderr]) {
            let rest = '';
            stream.setEncoding('utf8');
            stream.on('data', (chunk) => {
                output = (output + chunk).slice(-65536);
                if (quiet) return;
                const lines = (rest + chunk).split('\n');
                rest = lines.pop();
                lines.forEach(show);
            });
            stream.on('end', () => {
                if (rest && !quiet) show(rest);
            });
        }
        child.once('error', (error) => {
            clearTimeout(timer);
            fail(
                error.code === 'ENOENT'
                    ? new Failure(`${command} is not installed. \`node scripts/setup.mjs\` installs what is missing.`)
                    : error,
            );
        });
        child.once('close', (code, signal) => {
            clearTimeout(timer);
            if (code === 0 || allowFailure) return done({ code: code ?? 1, output });
            if (quiet && !interrupted) process.stderr.write(output);
            const how = timedOut ? `took longer than ${timeoutMs / 1000} s` : signal ? `was ended by ${signal}` : `failed with exit code ${code}`;
            fail(new Failure(`\`${[command, ...args].join(' ')}\` ${how}`));
        });
    });
}

const color = process.stderr.isTTY && !process.env.NO_COLOR;
const paint = (code) => (text) => (color ? `\x1b[${code}m${text}\x1b[0m` : text);
export const dim = paint('2');
export const bold = paint('1');
export const red = paint('31');
export const green = paint('32');

/** A line for the person at the terminal. Always stderr: stdout is for results. */
export function say(line = '') {
    process.stderr.write(`${line}\n`);
}

/** `75_000` → `1 min 15 s`. */
export function elapsed(ms) {
    if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
    const s = Math.round(ms / 1000);
    return s < 60 ? `${s} s` : `${Math.floor(s / 60)} min ${s % 60} s`;
}

/** Does one named piece of work, and says when it began and how long it took. */
export async function step(title, work) {
    const from = performance.now();
    say(`${bold('▸')} ${title} …`);
    const result = await work();
    say(`${green('✓')} ${title} ${dim(`(${elapsed(performance.now() - from)})`)}`);
    return result;
}

/** Runs a script's main function: a `Failure` is shown as a line, anything else with its stack. */
export function main(work) {
    watchSignals();
    Promise.resolve()
        .then(work)
        .then(
            (code) => process.exit(typeof code === 'number' ? code : 0),
            (error) => {
                if (interrupted) return;
                say(`${red('✗')} ${error instanceof Failure ? error.message : error?.stack || error}`);
                process.exit(1);
            },
        );
}
