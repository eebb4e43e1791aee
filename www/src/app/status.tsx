// What the client is at, in two words, on every view.

import { integer } from '../lib/format.js';
import { clientState, failure, session } from '../state/connection.js';

/** What `consensus` and `trust` come to. */
export function statusOf(consensus: string, trust: string, adopted: boolean): { tone: 'busy' | 'good' | 'bad' | 'off'; text: string } {
    switch (consensus) {
        case 'established':
            return trust === 'verified' ? { tone: 'good', text: 'Verified' } : { tone: 'busy', text: 'In sync, verifying' };
        case 'syncing':
            return { tone: 'busy', text: adopted ? 'Syncing' : 'Finding the chain' };
        case 'offline':
            return { tone: 'bad', text: 'Offline' };
        case 'failed':
            return { tone: 'bad', text: 'Stopped by an error' };
        case 'closed':
            return { tone: 'off', text: 'Not connected' };
        default:
            return { tone: 'busy', text: 'Connecting' };
    }
}

export function Status() {
    const state = clientState.value;
    const consensus = failure.value === undefined ? (state?.consensus ?? 'connecting') : 'failed';
    const adopted = session.value?.milestones.has('head') ?? false;
    const trust = adopted ? (state?.trust ?? '') : '';
    const { tone, text } = statusOf(consensus, trust, adopted);
    return (
        <div class="status" data-tone={tone}>
            <span class="status-dot" aria-hidden="true" />
            <p class="status-text" role="status" data-consensus={consensus} data-trust={trust}>
                {text}
            </p>
            {/* Not within the status: it would be read out every second. */}
            {adopted && state && (
                <p class="status-head numeric">
                    <span class="unseen">Block </span>
                    {integer(state.head.blockNumber)}
                </p>
            )}
        </div>
    );
}
