// Keeps the page for when there is no network: all of its files are fetched once, and from then on come from here. What the
// devnet answers, and anything else that isn't a file of the page, is left to the network. Vite puts the list in (`vite.config.js`).

/** The files, relative to this one: those whose names carry a hash of their content, and the others. */
const { hashed, plain, version } = __FILES__;
/** One cache a version, whole or not at all. */
const NAME = `pico-sync-${version}`;
/** What the address of the page itself stands for. */
const PAGE = new URL('index.html', self.registration.scope).href;
const files = new Set([...hashed, ...plain].map((path) => new URL(path, self.registration.scope).href));

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(activate()));
self.addEventListener('message', ({ data }) => {
    if (data === 'take-over') void self.skipWaiting();
});
self.addEventListener('fetch', (event) => {
    const { request } = event;
    if (request.method !== 'GET') return;
    const url = new URL(request.url);
    const isPage = request.mode === 'navigate' && url.origin === location.origin && url.pathname === new URL(self.registration.scope).pathname;
    const file = isPage ? PAGE : url.origin + url.pathname;
    if (files.has(file)) event.respondWith(answer(file, request));
});

async function install() {
    const cache = await caches.open(NAME);
    await Promise.all([
        ...hashed.map(async (path) => {
            // Most of a new version is what the one before had.
            const known = await caches.match(path, { ignoreVary: true });
            await (known ? cache.put(path, known) : cache.add(path));
        }),
        ...plain.map((path) => cache.add(new Request(path, { cache: 'no-cache' }))),
    ]);
}

async function activate() {
    for (const name of await caches.keys()) if (name.startsWith('pico-sync-') && name !== NAME) await caches.delete(name);
    // The page that installed this is of the same version.
    await self.clients.claim();
}

async function answer(file, request) {
    const cache = await caches.open(NAME);
    // Browsers may throw away what is cached; then it is fetched as if this were not there.
    return (await cache.match(file, { ignoreVary: true })) ?? fetch(request);
}
