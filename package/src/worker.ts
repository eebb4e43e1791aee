// The verification worker: signatures and proofs are checked here, so that the page stays free.
//
// Runs the same compiled module as the page, in an instance of its own.

import { PicoSyncError, describe } from './error.js';
import { Instance } from './instance.js';
import type { Reply, Request, Setup } from './messages.js';

let instance: Instance | undefined;
let crash: PicoSyncError | undefined;

function reply(message: Reply): void {
    postMessage(message);
}

async function start({ module, network, verifyingKey }: Setup): Promise<void> {
    try {
        const started = await Instance.start(module, (error) => (crash = error));
        started.call((core) => core.startVerifier(network, verifyingKey));
        instance = started;
        reply({ type: 'ready' });
    } catch (error) {
        reply({ type: 'failed', reason: describe(error) });
    }
}

function verify(id: number, job: Uint8Array): void {
    try {
        if (!instance) throw new PicoSyncError('worker', 'The worker was given a job before its module.');
        reply({ type: 'verified', id, valid: instance.call((core) => core.verifyJob(job)) });
    } catch (error) {
        const reason = describe(error);
        reply(crash ? { type: 'crashed', id, reason } : { type: 'refused', id, reason });
    }
}

addEventListener('message', ({ data }: MessageEvent<Request>) => {
    if (data.type === 'start') void start(data);
    else verify(data.id, data.job);
});
