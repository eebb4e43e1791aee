import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { defineConfig } from 'vite';

import { PAGE_POLICY } from './content-security-policy.js';

// Nothing here is for the client's sake: it needs no plugin and no option.
export default defineConfig({
    // Wherever it is hosted: below a path, too.
    base: './',
    build: {
        target: 'es2022',
        outDir: 'dist',
        emptyOutDir: true,
        sourcemap: true,
        // How long which plugin took is for those who look for it.
        rolldownOptions: { checks: { pluginTimings: false } },
    },
    // The scripts serve what was built; this is for those who run Vite's own server by hand.
    server: { host: '127.0.0.1' },
    plugins: [contentSecurityPolicy(), serviceWorker()],
});

/** Puts the policy into the built page. Vite's own server needs more than it allows. */
function contentSecurityPolicy() {
    return {
        name: 'content-security-policy',
        apply: 'build',
        transformIndexHtml: () => [
            { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: PAGE_POLICY }, injectTo: 'head-prepend' },
        ],
    };
}

/** Writes `sw.js`: the service worker, with the list of all files of the page. */
function serviceWorker() {
    let root;
    let publicDir;
    return {
        name: 'service-worker',
        apply: 'build',
        configResolved: (config) => ({ root, publicDir } = config),
        generateBundle: {
            // After Vite has written the page itself.
            order: 'post',
            handler(_options, bundle) {
                const content = createHash('sha256');
                const hashed = [];
                const plain = [];
                const add = (path, source) => {
                    content.update(`${path}\0`).update(source);
                    (path.startsWith('assets/') ? hashed : plain).push(path);
                };
                for (const [path, output] of Object.entries(bundle).sort(([a], [b]) => (a < b ? -1 : 1))) {
                    if (!path.endsWith('.map')) add(path, output.type === 'chunk' ? output.code : output.source);
                }
                for (const path of readdirSync(publicDir).sort()) add(path, readFileSync(join(publicDir, path)));
                const worker = readFileSync(join(root, 'service-worker.js'), 'utf8');
                const version = content.update(worker).digest('hex').slice(0, 16);
                const files = JSON.stringify({ hashed, plain, version });
                this.emitFile({ type: 'asset', fileName: 'sw.js', source: worker.replace('__FILES__', () => files) });
            },
        },
    };
}
