import { defineConfig } from 'vite';

// Nothing here is for the client's sake: it needs no plugin and no option.
export default defineConfig({
    // Wherever it is hosted: below a path, too.
    base: './',
    build: { target: 'es2022', outDir: 'dist', emptyOutDir: true, sourcemap: true },
    // The scripts serve what was built; this is for those who run Vite's own server by hand.
    server: { host: '127.0.0.1' },
});
