// Making an app of the page, where the browser offers that.

import { signal } from '@preact/signals';

import { Button } from '../ui/button.js';

/** What browsers that can install pages send; it is in no standard. */
interface InstallPrompt extends Event {
    prompt(): Promise<unknown>;
}

const offered = signal<InstallPrompt | undefined>(undefined);

addEventListener('beforeinstallprompt', (event) => {
    // The browser's own hint would cover the page.
    event.preventDefault();
    offered.value = event as InstallPrompt;
});
addEventListener('appinstalled', () => (offered.value = undefined));

/** A button where it can be installed, else nothing. */
export function InstallButton({ small = false }: { small?: boolean }) {
    const prompt = offered.value;
    if (!prompt) return null;
    const install = () => {
        // It can be asked once.
        offered.value = undefined;
        prompt.prompt().catch((error: unknown) => console.warn('not installed:', error));
    };
    return (
        <Button icon="download" small={small} onClick={install}>
            Install as an app
        </Button>
    );
}
