// Boots the page: where to connect, a session, and the view of it.

import type { ClientOptions, Network, SyncMode } from 'pico-sync-client';

import { Session } from './session.js';
import { View, element } from './view.js';

const form = element('settings', HTMLFormElement);
const network = element('network', HTMLSelectElement);
const mode = element('mode', HTMLSelectElement);
const peersList = element('peers-list', HTMLTextAreaElement);
const closeButton = element('close', HTMLButtonElement);

const view = new View();
let session: Session | undefined;
/** Of a devnet whose proofs are not made with the network's own keys. */
let devnetKey: { network: string; key: Uint8Array } | undefined;

/** Ends the client there was, if any, and starts one with what the form says. */
async function connect(startedAt: number): Promise<void> {
    await session?.close();
    const mine = new Session(startedAt, (event) => {
        if (session !== mine) return;
        view.schedule(mine);
        closeButton.disabled = !mine.running;
        // For scripts that watch the page, such as `npm start -- --headless`.
        if (event) document.dispatchEvent(new CustomEvent('pico-sync-event', { detail: event }));
    });
    session = mine;
    view.reset();
    const peers = peersList.value.split(/\s+/).filter(Boolean);
    const options: ClientOptions = { network: network.value as Network, mode: mode.value as SyncMode };
    if (devnetKey && network.value === devnetKey.network) options.verifyingKey = devnetKey.key;
    if (peers.length) options.peers = peers;
    await mine.run(options);
}

/** The devnet that serves this page says where its nodes are; a page hosted elsewhere has none. */
async function loadDevnet(): Promise<void> {
    try {
        const response = await fetch('/devnet.json');
        if (!response.ok) return;
        const devnet = (await response.json()) as { network: string; peers: string[]; verifyingKey?: string };
        network.value = devnet.network;
        peersList.value = devnet.peers.join('\n');
        const digits = devnet.verifyingKey?.match(/../g);
        if (digits) devnetKey = { network: devnet.network, key: Uint8Array.from(digits, (two) => parseInt(two, 16)) };
    } catch (error) {
        console.info('no devnet here, using the main network:', error);
    }
}

form.addEventListener('submit', (event) => {
    event.preventDefault();
    void connect(performance.now());
});
closeButton.addEventListener('click', () => void session?.close());
setInterval(() => session?.refresh(), 1000);

await loadDevnet();
// Counted from the navigation: loading the page and compiling the client is part of the wait.
await connect(0);
