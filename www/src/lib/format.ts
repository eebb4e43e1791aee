// How numbers, hashes, ids and events read on the page.

import type { SyncEvent, UnlistedEvent } from 'pico-sync-client';

const integers = new Intl.NumberFormat('en');

/** `3456000` → `3,456,000`. */
export const integer = (n: number): string => integers.format(n);

/** Bytes, as people read them: `742 B`, `38.2 kB`, `1.4 MB`. */
export function bytes(n: number): string {
    if (n < 1000) return `${n} B`;
    if (n < 999_950) return `${(n / 1000).toFixed(1)} kB`;
    return `${(n / 1e6).toFixed(2)} MB`;
}

/** A duration: `312 ms`, `1.42 s`, `2 min 5 s`. */
export function duration(ms: number): string {
    if (ms < 1000) return `${Math.round(ms)} ms`;
    if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`;
    const s = Math.round(ms / 1000);
    if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
    if (s < 172_800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
    return `${integer(Math.floor(s / 86_400))} days`;
}

/** How long ago; a clock that is a little ahead is no reason to say "in the future". */
export function age(timestamp: number, now = Date.now()): string {
    const ms = now - timestamp;
    if (ms < -60_000) return `${duration(-ms)} ahead of this device’s clock`;
    return ms < 2000 ? 'just now' : `${duration(Math.floor(ms / 1000) * 1000)} ago`;
}

const moments = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });

/** A date and a time, in the language of the page: `Nov 23, 2026, 9:41 AM`. */
export const moment = (at: number): string => moments.format(at);

/** Luna in a NIM. */
export const LUNA = 100_000n;

/** Luna as NIM, without the unit: `1,234.56`. All five decimals if `fixed`, else as many as it takes. */
export function nim(luna: bigint, { fixed = false } = {}): string {
    const positive = luna < 0n ? -luna : luna;
    const decimals = String(positive % LUNA).padStart(5, '0');
    const shown = fixed ? decimals : decimals.replace(/0+$/, '');
    return `${luna < 0n ? '−' : ''}${integers.format(positive / LUNA)}${shown && `.${shown}`}`;
}

/** The ends of a hash. */
export const shortHash = (hash: string): string => (hash.length > 20 ? `${hash.slice(0, 8)}…${hash.slice(-8)}` : hash);

/** The end of a peer id: the beginning is the same for all. */
export const shortId = (id: string): string => (id.length > 12 ? `…${id.slice(-8)}` : id);

/** A multiaddr without its peer id, which stands beside it, and without the hash of a certificate, which says nothing. */
export const hostOf = (address: string): string => address.replace(/\/(certhash|p2p)\/.*$/, '');

/** `12:03:07.123`, local time. */
export function clock(at: number): string {
    const date = new Date(at);
    const two = (n: number) => String(n).padStart(2, '0');
    return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

const ACTIONS: Record<string, string> = {
    redial: 'dialling peers again',
    'restart-network': 'restarting the network',
    resync: 'syncing again',
};

export type ZkpEvent = Extract<SyncEvent, { type: 'zkp' }>;

/** What became of a proof, in a few words. */
export function zkp({ status, blockNumber, peerId, ms }: ZkpEvent): string {
    const number = blockNumber === undefined ? '' : ` block ${integer(blockNumber)}`;
    const proof = `proof${number && ` of${number}`}`;
    switch (status) {
        case 'requested':
            return `asked for a proof${number && ` beyond${number}`}`;
        case 'verifying':
            return `checking the ${proof}`;
        case 'verified':
            return `${proof} holds${ms === undefined ? '' : `, checked in ${duration(ms)}`}`;
        case 'rejected':
            return `${proof} does not hold`;
        case 'unavailable':
            return peerId ? 'has no proof' : 'no proof to be had';
    }
}

/** One sentence for an event. Types that this page does not know are shown as they came. */
export function describe(event: SyncEvent): string {
    switch (event.type) {
        case 'peer-joined':
            return `${shortId(event.peerId)} joined from ${hostOf(event.address)}`;
        case 'peer-left':
            return `${shortId(event.peerId)} left: ${event.reason}`;
        case 'macro-sync':
            return `${shortId(event.peerId)} is ${event.outcome}${event.reason ? `: ${event.reason}` : ''}`;
        case 'macro-block':
            return `${event.election ? 'election' : 'checkpoint'} block ${integer(event.blockNumber)} of epoch ${integer(event.epoch)}, ${event.trust}`;
        case 'fallback':
            return `from ${event.from} to ${event.to} sync${event.peerId ? `, because of ${shortId(event.peerId)}` : ''}: ${event.reason}`;
        case 'zkp':
            return `${event.peerId ? `${shortId(event.peerId)}: ` : ''}${zkp(event)}${event.reason ? `: ${event.reason}` : ''}`;
        case 'trust':
            return `${event.level} through ${event.via}, at block ${integer(event.blockNumber)}`;
        case 'consensus':
            return event.state;
        case 'head': {
            const reverted = event.reverted.length ? `, ${event.reverted.length} reverted` : '';
            return `${integer(event.blockNumber)} ${event.kind}${reverted}  ${shortHash(event.hash)}`;
        }
        case 'stalled':
            return `nothing for ${duration(event.forMs)}: ${ACTIONS[event.action] ?? event.action}`;
        case 'lagged':
            return `${integer(event.missed)} events were missed`;
        default:
            return describeUnlisted(event as UnlistedEvent);
    }
}

const RECORDS: Record<string, string> = { identity: 'its identity', contacts: 'peers from earlier visits', chain: 'a proven chain' };

/** Events beside those of the sync. */
function describeUnlisted(event: UnlistedEvent): string {
    switch (event.type) {
        case 'dial-failed':
            return `${hostOf(event.address)} can’t be reached`;
        case 'worker':
            return event.status === 'restarted' ? `restarted: ${event.reason}` : `there is none, checks run on the page: ${event.reason}`;
        case 'verified-in-place':
            return `checked on the page: ${event.reason}`;
        case 'storage': {
            const what = RECORDS[event.record ?? ''] ?? 'what was kept';
            const block = event.blockNumber === undefined ? '' : `, up to block ${integer(event.blockNumber)}`;
            if (event.status === 'restored') return `goes on with ${what}${block}`;
            return `${event.status === 'discarded' ? `${what} is of no use` : 'nothing can be kept'}${event.reason ? `: ${event.reason}` : ''}`;
        }
        case 'clock':
            return `this device’s clock is ${duration(Math.abs(event.skewMs))} ${event.skewMs > 0 ? 'ahead of' : 'behind'} the peers’`;
        default: {
            const { type: _type, at: _at, ...rest } = event as Record<string, unknown>;
            return JSON.stringify(rest);
        }
    }
}
