// Runs cargo, and shows how far it is: a line now and then in place of one per crate.

import { Failure, capture, elapsed, run, say } from './env.mjs';

/** How often progress is shown. */
const EVERY_MS = 15_000;

/**
 * `cargo ...args`, with progress under `label`. Warnings and errors are shown as they come.
 * `packages` (names) is used to tell of how many crates the build is.
 */
export async function cargo(args, { label = 'cargo', packages = [], env, timeoutMs } = {}) {
    const from = performance.now();
    let compiled = 0;
    let total;
    const timer = setInterval(() => {
        if (compiled === 0) return;
        total ??= countCrates(packages, args);
        say(`  ${label}: ${compiled}${total > compiled ? ` of about ${total}` : ''} crates compiled, ${elapsed(performance.now() - from)}`);
    }, EVERY_MS);
    try {
        return await run('cargo', args, {
            label,
            env,
            timeoutMs,
            onLine(line) {
                if (/^\s*(Compiling|Checking) /.test(line)) compiled += 1;
                if (/^\s*(Compiling|Checking|Fresh|Downloading|Downloaded|Blocking|Updating|Locking|Finished|Adding)\b/.test(line)) {
                    return /^\s*(Blocking|Updating)/.test(line) ? line.trim() : undefined;
                }
                return line;
            },
        });
    } finally {
        clearInterval(timer);
    }
}

/** About how many crates the packages consist of; 0 if cargo can't say. */
function countCrates(packages, args) {
    const at = args.indexOf('--target');
    const target = at >= 0 ? ['--target', args[at + 1]] : [];
    const tree = capture('cargo', ['tree', '--prefix', 'none', '-e', 'normal,build', ...target, ...packages.flatMap((p) => ['-p', p])]);
    return tree ? new Set(tree.split('\n').map((line) => line.split(' ').slice(0, 2).join(' '))).size : 0;
}

/** Where cargo puts a native binary of the `dev` profile. */
export function binary(targetDir, name) {
    return `${targetDir}/debug/${name}${process.platform === 'win32' ? '.exe' : ''}`;
}

/** Says plainly what a missing build means. */
export function notBuilt(what) {
    return new Failure(`${what} is not built: \`npm start\` or \`npm test\` builds it`);
}
