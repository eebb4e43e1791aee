// The least code that syncs with @nimiq/core, as its documentation shows it. Times are since navigation.

import init, * as Nimiq from '/theirs/web/index.js';

const marks = (window.marks = {});
const mark = (name) => (marks[name] ??= performance.now());
const established = () => {
    mark('established');
    console.info('established');
};
// Tells which of a trace's processes is this page's.
performance.mark('benchmark');

const [{ network, peers, genesis }] = await Promise.all([fetch('/devnet.json').then((response) => response.json()), init()]);
const config = new Nimiq.ClientConfiguration();
config.network(network.replace('-', ''));
config.seedNodes(peers);
config.onlySecureWsConnections(false);
config.syncMode('pico');
config.logLevel('warn');
const client = await Nimiq.Client.create(config.build());
mark('created');
await Promise.all([
    client.addHeadChangedListener(() => mark('head')),
    client.addConsensusChangedListener((state) => state === 'established' && established()),
]);
// What was reached before the listeners were there.
if ((await client.getHeadHeight()) > genesis) mark('head');
if (await client.isConsensusEstablished()) established();
