// Loads modules of the page in Node: bundled from their sources, with what they import from the package replaced.

import { join } from 'node:path';
import { rolldown } from 'rolldown';

import { root } from '../../scripts/lib/env.mjs';

/**
 * What a module of `www/src` exports. `replaced`: module name → its source, for what only a browser has.
 */
export async function loadPageModule(path, replaced = {}) {
    const bundle = await rolldown({
        input: join(root, 'www', 'src', path),
        tsconfig: join(root, 'www', 'tsconfig.json'),
        plugins: [
            {
                name: 'replaced',
                resolveId: (id) => (Object.hasOwn(replaced, id) ? `\0${id}` : undefined),
                load: (id) => replaced[id.slice(1)],
            },
        ],
    });
    try {
        const { output } = await bundle.generate({ format: 'esm', codeSplitting: false });
        return await import(`data:text/javascript;base64,${Buffer.from(output[0].code).toString('base64')}`);
    } finally {
        await bundle.close();
    }
}
