// Building only what is not up to date.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

import { Failure, env, root } from './env.mjs';

/** Does `work` unless the outputs were made from the same inputs in the same way. */
export async function unlessFresh(out, name, inputs, outputs, how, work) {
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
export function scratch(out) {
    const dir = join(env().cacheDir, 'package', createHash('sha256').update(out).digest('hex').slice(0, 12));
    mkdirSync(dir, { recursive: true });
    return dir;
}
