// The service worker: it keeps the page for when there is no network, and a new version waits until it is wanted.

import { signal } from '@preact/signals';

/** Whether a new version was loaded and waits. */
export const updateReady = signal(false);

/** How often a page that stays open looks for a new version, in ms. */
const LOOK_AGAIN = 3_600_000;

let waiting: ServiceWorker | undefined;

/** Installs the service worker, where there can be one. It fetches all files of the page: call it once nothing waits for the network. */
export async function keepForOffline(): Promise<void> {
    // Not on pages that aren't served securely, and not in every private window.
    const container: ServiceWorkerContainer | undefined = navigator.serviceWorker;
    if (!container || !import.meta.env.PROD) return;
    // The first worker of a page takes over without a word: the page is of its version. When another one does, by this page's
    // wish or another tab's, what this page is made of is no longer kept.
    let controlled = container.controller !== null;
    container.addEventListener('controllerchange', () => {
        if (controlled) location.reload();
        controlled = true;
    });
    try {
        const registration = await container.register('./sw.js');
        const ready = (worker: ServiceWorker | null) => {
            if (!worker || !container.controller) return;
            waiting = worker;
            updateReady.value = true;
        };
        ready(registration.waiting);
        registration.addEventListener('updatefound', () => {
            const worker = registration.installing;
            worker?.addEventListener('statechange', () => {
                if (worker.state === 'installed') ready(worker);
            });
        });
        setInterval(() => {
            registration.update().catch((error: unknown) => console.info('no new version could be looked for:', error));
        }, LOOK_AGAIN);
    } catch (error) {
        console.warn('this page won’t work offline:', error);
    }
}

/** Takes the new version into use: the page is loaded again. */
export function applyUpdate(): void {
    waiting?.postMessage('take-over');
}
