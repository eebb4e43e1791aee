// The devnet's lying peer: turning it on, and a client that hears it first.

import { computed, effect, signal } from '@preact/signals';

import { askDevnet, leaveDevnet } from '../lib/devnet.js';
import { connect, devnet, lastOptions, ownDevnet } from './connection.js';

export interface Liar {
    address: string;
    peerId: string;
}

/** Whether there is one to be had: only next to a devnet, and while that is the network. */
export const canLie = computed(() => ownDevnet.value?.liar !== undefined);
/** While the client was sent to it. */
export const liar = signal<Liar | undefined>(undefined);
// Whoever starts a client in another way, as with other settings, or closes the page, has left it. It would go on lying to
// the next client.
effect(() => {
    const { peers } = lastOptions.value;
    if (liar.peek() && peers?.[0] !== liar.peek()?.address) leave();
});
addEventListener('pagehide', () => {
    if (liar.peek()) leave();
});
/** While the devnet is being asked. */
export const busy = signal(false);
/** Why it could not be turned on or off. */
export const problem = signal<string | undefined>(undefined);

/**
 * Starts the liar, and a client that is told of it alone and knows nothing from before: of two peers that contradict each
 * other, chance decides whom it asks first, and a lie against a proven chain does nothing.
 */
export async function turnOn(): Promise<void> {
    await ask('POST', async (answer) => {
        const started = answer as Liar;
        liar.value = started;
        await connect({ storage: 'memory', peers: [started.address] });
    });
}

/** Stops the liar, and goes back to the usual client. */
export async function turnOff(): Promise<void> {
    await ask('DELETE', async () => {
        liar.value = undefined;
        await connect();
    });
}

/** Stops the liar, without waiting for it: the page may be gone by then. */
function leave(): void {
    const path = devnet.peek()?.liar;
    liar.value = undefined;
    if (path) leaveDevnet(path).catch((error: unknown) => console.info('the liar may still be on:', error));
}

async function ask(method: 'POST' | 'DELETE', then: (answer: unknown) => Promise<void>): Promise<void> {
    const path = devnet.peek()?.liar;
    if (!path || busy.peek()) return;
    busy.value = true;
    problem.value = undefined;
    try {
        await then(await askDevnet(path, method, method === 'POST' ? {} : undefined));
    } catch (error) {
        problem.value = error instanceof Error ? error.message : String(error);
    } finally {
        busy.value = false;
    }
}
