// Compiling what stands in the pages.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { env } from '../../scripts/lib/env.mjs';

/** What a strict TypeScript says about the files of `project` that `include` matches: nothing, if all is well. */
export function compile(project, include) {
    const config = {
        compilerOptions: {
            target: 'ES2022',
            lib: ['ES2022', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable', 'ESNext.Disposable'],
            module: 'ESNext',
            moduleResolution: 'bundler',
            strict: true,
            // In plain JavaScript, parameters have no types.
            noImplicitAny: false,
            allowJs: true,
            checkJs: true,
            skipLibCheck: true,
            types: [],
            noEmit: true,
        },
        include: ['context.d.ts', ...include],
        exclude: ['node_modules', 'package'],
    };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(config));
    const { status, stdout, stderr } = spawnSync('tsc', ['-p', project, '--pretty', 'false'], { cwd: project, encoding: 'utf8', env: env().processEnv });
    return status === 0 ? '' : `${stdout}${stderr}` || `tsc ended with ${status}`;
}
