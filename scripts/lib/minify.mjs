// JavaScript without what only people need, which is in its source map.

import { basename, dirname, join, relative, resolve, sep } from 'node:path';

import { rolldown } from 'rolldown';

import { root } from './env.mjs';

/** Writes `code` to `file`, minified, with a map next to it. `up` leads from there to the package's root. */
export async function minified(code, file, up = '..') {
    const id = basename(file);
    const build = await rolldown({
        input: id,
        plugins: [{ name: 'text', resolveId: (name) => (name === id ? join(dirname(file), id) : undefined), load: () => code }],
    });
    try {
        await build.write({ file, format: 'esm', minify: true, ...sourceMap(up) });
    } finally {
        await build.close();
    }
}

/** Options for maps that hold the sources themselves, as those are not shipped, under names that tell nothing of this machine. `up`
 *  leads from the map to the package's root. */
export function sourceMap(up) {
    return {
        sourcemap: true,
        sourcemapPathTransform: (source, map) => {
            const file = resolve(dirname(map), source);
            const ours = relative(join(root, 'package'), file);
            return ours.startsWith('..') ? `${up}/generated/${basename(file)}` : `${up}/${ours.replaceAll(sep, '/')}`;
        },
    };
}
