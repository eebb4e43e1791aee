// The least code that syncs with pico-sync-client, and notes when what is reached. Times are since navigation.

import { PicoSyncClient } from '/ours/index.js';

const marks = (window.marks = {});
const mark = (name, value = performance.now()) => (marks[name] ??= value);
// Tells which of a trace's processes is this page's.
performance.mark('benchmark');

const { network, peers, verifyInBackground, options } = await (await fetch('/devnet.json')).json();
const client = await PicoSyncClient.create({ network, peers, verifyInBackground, ...options });
mark('created');
let good = 0;
for await (const event of client) {
    if (event.type === 'macro-block' || event.type === 'head') mark('head');
    if (event.type === 'macro-sync' && event.outcome === 'good') {
        good += 1;
        // Every peer has been asked and has answered: all that macro sync takes has been received.
        if (good === peers.length) mark('macroSyncBytes', client.state.bytesReceived);
    }
    if (event.type === 'consensus' && event.state === 'established') {
        mark('established');
        console.info('established');
    }
    if (event.type === 'trust' && event.level === 'verified') mark('verified');
    if (event.type === 'fallback') mark('fallback', event.reason);
}
