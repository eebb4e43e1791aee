// What a verification worker does, in whatever kind of worker it runs: signatures and proofs are checked here, so that the
// page stays free. It runs the same compiled module as the page, in an instance of its own.

import { PicoSyncError, describe } from './error.js';
import { Instance } from './instance.js';
import type { Reply, Request, Setup } from './messages.js';

/** Returns what takes the page's messages. `reply` sends one back. */
export function jobs(reply: (message: Reply) => void): (message: Request) => void {
    let instance: Instance | undefined;
    let crash: PicoSyncError | undefined;

    const start = async ({ module, network, verifyingKey }: Setup): Promise<void> => {
        try {
            const started = await Instance.start(module, (error) => (crash = error));
            started.call((core) => core.startVerifier(network, verifyingKey));
            instance = started;
            reply({ type: 'ready' });
        } catch (error) {
            reply({ type: 'failed', reason: describe(error) });
        }
    };

    const verify = (id: number, job: Uint8Array): void => {
        try {
            if (!instance) throw new PicoSyncError('worker', 'The worker was given a job before its module.');
            reply({ type: 'verified', id, valid: instance.call((core) => core.verifyJob(job)) });
        } catch (error) {
            const reason = describe(error);
            reply(crash ? { type: 'crashed', id, reason } : { type: 'refused', id, reason });
        }
    };

    return (message) => {
        if (message.type === 'start') void start(message);
        else verify(message.id, message.job);
    };
}
