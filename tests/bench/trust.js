// A client that verifies from the start, and what that takes. Its proof can be checked again afterwards.

import { PicoSyncClient } from '/ours/index.js';

const { network, peers, verifyingKey } = await (await fetch('/devnet.json')).json();

/** What the client has its worker do. */
const sent = {};
function worker() {
    const made = new Worker('/ours/worker.js', { type: 'module' });
    const post = made.postMessage.bind(made);
    made.postMessage = (message) => {
        if (message.type === 'start') sent.start = message;
        // The first byte is the kind of the job.
        else if (message.job[0] === 1) sent.proof = message;
        post(message);
    };
    return made;
}

const options = { network, peers, worker, mode: 'light', minPeers: 1, storage: 'memory' };
if (verifyingKey) options.verifyingKey = Uint8Array.from(verifyingKey.match(/../g), (two) => parseInt(two, 16));
const from = performance.now();
const client = await PicoSyncClient.create(options);

/** Milliseconds from the beginning, bytes received, and what trust came by. */
async function verified() {
    for await (const event of client) {
        if (event.type === 'trust' && event.level === 'verified') {
            const { bytesReceived, macroHead } = client.state;
            return { ms: performance.now() - from, bytes: bytesReceived, via: event.via, blockNumber: macroHead.blockNumber };
        }
    }
    throw new Error('the client has ended');
}

/** Has a new worker check the client's proof so often, one after the other. Milliseconds of each. */
async function checkProof(times) {
    const checker = new Worker('/ours/worker.js', { type: 'module' });
    const answer = (message) =>
        new Promise((resolve, reject) => {
            checker.onmessage = ({ data }) => resolve(data);
            checker.onerror = ({ message }) => reject(new Error(message));
            checker.postMessage(message);
        });
    await answer(sent.start);
    const each = [];
    for (let i = 0; i < times; i++) {
        const from = performance.now();
        const { valid } = await answer(sent.proof);
        if (!valid) throw new Error('the proof does not hold');
        each.push(performance.now() - from);
    }
    checker.terminate();
    return each;
}

window.trust = { verified: verified(), checkProof };
