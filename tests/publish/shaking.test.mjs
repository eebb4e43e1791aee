// What bundlers keep of the package: only what is used. Both with `sideEffects` of package.json and without that hint, as a
// module that does something when it is imported would make the hint a lie.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { rolldown } from 'rolldown';

import { install } from './support.mjs';

let installed;
before(() => (installed = install()));
after(() => installed?.remove());

/** The builds that bundlers meet, by the conditions that lead there; and what they have of the client and of the wallet. */
const BUILDS = {
    'files beside the script': { conditions: ['browser', 'production'], marks: { client: ['core_bg.wasm', 'worker.js'], wallet: ['wallet_bg.wasm'] } },
    'files within': { conditions: ['browser'], marks: { client: ['DecompressionStream'], wallet: ['AGFzbQ'] } },
    'Node': { conditions: ['node'], marks: { client: ['worker_threads'], wallet: ['AGFzbQ'] } },
};

/** The code that is left of `code`, a module that imports the package, with all its chunks. */
async function bundled(code, { conditions, moduleSideEffects }) {
    const input = join(installed.project, 'entry.js');
    const build = await rolldown({
        input,
        plugins: [{ name: 'text', resolveId: (name) => (name === input ? name : undefined), load: (name) => (name === input ? code : undefined) }],
        platform: conditions.includes('node') ? 'node' : 'browser',
        resolve: { conditionNames: ['import', ...conditions] },
        ...(moduleSideEffects && { treeshake: { moduleSideEffects: true } }),
    });
    try {
        const { output } = await build.generate({ format: 'esm', minify: true, comments: false });
        // Which says that it is a module, and nothing else.
        return output.map((file) => file.code ?? '').join('\n').trim().replace(/export\{\};$/, '');
    } finally {
        await build.close();
    }
}

const HINTS = [['with `sideEffects`', false], ['without that hint', true]];
for (const [build, { conditions, marks }] of Object.entries(BUILDS)) {
    for (const [hint, moduleSideEffects] of HINTS) {
        const how = { conditions, moduleSideEffects };
        describe(`${build}, ${hint}`, () => {
            test('nothing is left of what is not used', async () => {
                for (const code of [
                    "import 'pico-sync-client';",
                    "import { PicoSyncClient } from 'pico-sync-client';",
                    "import * as all from 'pico-sync-client';",
                    "import 'pico-sync-client/wallet';",
                    "import { KeyPair, isValidAddress } from 'pico-sync-client/wallet';",
                ]) {
                    assert.equal(await bundled(`${code} console.log(1);`, how), 'console.log(1);', code);
                }
            });

            test('an error costs the error alone', async () => {
                for (const entry of ['pico-sync-client', 'pico-sync-client/wallet']) {
                    const code = await bundled(`import { PicoSyncError } from '${entry}'; console.log(PicoSyncError);`, how);
                    assert.ok(code.length < 400, `${code.length} characters: ${code}`);
                }
            });

            test('the wallet brings nothing of the client, nor the client of the wallet', async () => {
                const wallet = await bundled("import { isValidAddress } from 'pico-sync-client/wallet'; console.log(isValidAddress('NQ'));", how);
                const client = await bundled("import { PicoSyncClient } from 'pico-sync-client'; console.log(PicoSyncClient);", how);
                const found = (code) => Object.fromEntries(Object.entries(marks).map(([of, words]) => [of, words.filter((word) => code.includes(word))]));
                assert.deepEqual(found(wallet), { client: [], wallet: marks.wallet });
                assert.deepEqual(found(client), { client: marks.client, wallet: [] });
            });
        });
    }
}
