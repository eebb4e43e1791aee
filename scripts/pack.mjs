// What npm runs around packing and publishing (`prepack`, `postpack`, `prepublishOnly` of package.json). To pack, say `npm pack`.
//
//     node scripts/pack.mjs before|after|publish
//
// stdout is npm's: it prints the tarball's name there.

import { exchangeReadme, restoreReadme } from './lib/pack.mjs';
import { Failure, main, run } from './lib/env.mjs';
import { setup } from './setup.mjs';

const STEPS = {
    /** From a clean checkout, too: installs what is missing, and builds. */
    before: async () => {
        await setup('build');
        await run(process.execPath, ['scripts/build.mjs'], { label: 'package' });
        exchangeReadme();
    },
    after: () => restoreReadme(),
    /** From a folder, npm reads the README that the registry shows once all is packed, and restored: the wrong one. */
    publish: () => {
        throw new Failure('Publish the tarball that `npm pack` makes, with `npm publish pico-sync-client-VERSION.tgz`: its page would get the repository’s README otherwise.');
    },
};

main(async () => {
    const step = STEPS[process.argv[2]];
    if (!step) throw new Failure(`usage: node scripts/pack.mjs ${Object.keys(STEPS).join('|')}`);
    await step();
});
