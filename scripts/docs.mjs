// `npm run docs`: the API reference and the guides as pages, in `docs/reference/html`.

import { join } from 'node:path';

import { main, root, run, say } from './lib/env.mjs';
import { writeReference } from './lib/reference.mjs';
import { setup } from './setup.mjs';

main(async () => {
    await setup('build', 'docs');
    await run(process.execPath, ['scripts/build.mjs'], { label: 'package' });
    const out = join(root, 'docs', 'reference', 'html');
    await writeReference(out);
    say(`The reference is at ${join(out, 'index.html')}`);
});
