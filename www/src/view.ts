// Draws a session. Every function here sets what changed and leaves the rest alone, so that text stays
// selectable and a screen reader is not interrupted by a page that redraws itself.

import { age, bytes, clock, describe, duration, hostOf, integer, shortHash, shortId, zkp } from './format.js';
import type { PeerRow, Session } from './session.js';

/** The element with that id, which `index.html` is known to have. */
export function element<T extends Element>(id: string, type: new () => T): T {
    const found = document.getElementById(id);
    if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} #${id}`);
    return found;
}

const html = (id: string): HTMLElement => element(id, HTMLElement);

function make(tag: string, attributes: Record<string, string> = {}, ...children: (string | Node)[]): HTMLElement {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
}

function setText(target: Element, text: string): void {
    if (target.textContent !== text) target.textContent = text;
}

function setHash(target: HTMLElement, hash: string): void {
    setText(target, shortHash(hash));
    target.title = hash;
}

const STATUS: Record<string, string> = {
    connecting: 'Connecting to peers',
    syncing: 'Syncing',
    established: 'Consensus established',
    offline: 'Offline',
    closed: 'Closed',
    failed: 'Failed',
};

const VIA: Record<string, string> = {
    peers: 'Peers agree; its proof is being checked',
    signatures: 'Proven by validator signatures',
    zkp: 'Proven by a zero-knowledge proof',
    storage: 'Proven in an earlier visit',
};

export class View {
    #hideHeads = element('hide-heads', HTMLInputElement);
    #log = html('log');
    #shownEvents = 0;
    #scheduled = false;
    #session?: Session;

    constructor() {
        this.#hideHeads.addEventListener('change', () => this.#log.classList.toggle('no-heads', this.#hideHeads.checked));
        const copy = element('copy', HTMLButtonElement);
        copy.addEventListener('click', () => {
            const lines = (this.#session?.events ?? []).map((event) => JSON.stringify(event)).join('\n');
            navigator.clipboard.writeText(lines).then(
                () => flash(copy, 'Copied'),
                () => flash(copy, 'Not allowed here'),
            );
        });
    }

    /** For a new session: what the last one left is gone. */
    reset(): void {
        this.#log.replaceChildren();
        this.#shownEvents = 0;
        html('comb').replaceChildren();
        html('peers').replaceChildren();
    }

    /** Draws before the next frame, however many changes come until then. */
    schedule(session: Session): void {
        this.#session = session;
        if (this.#scheduled) return;
        this.#scheduled = true;
        requestAnimationFrame(() => {
            this.#scheduled = false;
            if (this.#session) this.#draw(this.#session);
        });
    }

    #draw(session: Session): void {
        this.#status(session);
        this.#heads(session);
        this.#comb(session);
        this.#peers(session);
        this.#events(session);
    }

    #status({ state, error, milestones, trustVia, zkp: proof, fallbacks }: Session): void {
        const consensus = error === undefined ? (state?.consensus ?? 'connecting') : 'failed';
        html('status').dataset.state = consensus;
        const light = state?.syncer === 'light' && consensus !== 'closed' ? ', light sync' : '';
        setText(html('status-text'), `${STATUS[consensus] ?? consensus}${consensus === 'failed' ? '' : light}`);

        const alert = html('error');
        alert.hidden = error === undefined;
        if (error !== undefined) setText(alert, errorText(error));

        for (const item of html('milestones').children as HTMLCollectionOf<HTMLElement>) {
            const at = milestones.get(item.dataset.key as 'peer');
            item.classList.toggle('reached', at !== undefined);
            setText(item.querySelector('.when') as Element, at === undefined ? '–' : duration(at));
        }

        const adopted = milestones.has('head') && state;
        html('trust').dataset.trust = adopted ? state.trust : '';
        setText(html('trust'), adopted ? state.trust : '–');
        const fell = fallbacks ? ` · ${fallbacks} fallback${fallbacks > 1 ? 's' : ''} to light sync` : '';
        setText(html('trust-how'), (adopted ? how(state.trust, trustVia) : 'Nothing adopted yet') + fell);
        html('zkp').dataset.status = proof?.status ?? '';
        html('zkp').title = proof?.reason ?? '';
        setText(html('zkp'), proof ? zkp(proof) : '');
    }

    #heads({ state, milestones }: Session): void {
        if (!state) return;
        setText(html('received'), `↓ ${bytes(state.bytesReceived)}`);
        setText(html('sent'), `↑ ${bytes(state.bytesSent)} sent`);
        // Before a peer gave one, the head is the built-in genesis: nothing to boast with.
        if (!milestones.has('head')) return;
        setText(html('head-number'), integer(state.head.blockNumber));
        setHash(html('head-hash'), state.head.hash);
        setText(html('head-age'), age(state.head.timestamp));
        setText(html('macro-number'), integer(state.macroHead.blockNumber));
        setHash(html('macro-hash'), state.macroHead.hash);
        setText(html('election-number'), integer(state.electionHead.blockNumber));
        setText(html('election-epoch'), `epoch ${integer(state.electionHead.epoch)}`);
        setHash(html('election-hash'), state.electionHead.hash);
    }

    #comb({ blocks }: Session): void {
        const comb = html('comb');
        const wanted = new Set(blocks.map(({ hash }) => hash));
        for (const cell of [...comb.children] as HTMLElement[]) if (!wanted.has(cell.dataset.hash ?? '')) cell.remove();
        blocks.forEach(({ blockNumber, hash, kind }, i) => {
            let cell = comb.children[i] as HTMLElement | undefined;
            if (cell?.dataset.hash !== hash) {
                cell = make('li', { 'data-hash': hash });
                comb.insertBefore(cell, comb.children[i] ?? null);
            }
            if (cell.className === kind) return;
            cell.className = kind;
            cell.title = `${kind} block ${integer(blockNumber)}\n${hash}`;
            cell.replaceChildren(make('span', { class: 'hidden' }, `${kind} block ${blockNumber}`));
        });
        comb.scrollLeft = comb.scrollWidth;
    }

    #peers({ peers, state }: Session): void {
        const body = html('peers');
        const rows = [...peers.values()].sort((a, b) => Number(b.connected) - Number(a.connected));
        const known = new Map(([...body.children] as HTMLElement[]).map((row) => [row.dataset.peer, row]));
        for (const [peerId, row] of known) if (!peers.has(peerId ?? '')) row.remove();
        rows.forEach((peer, i) => {
            const row = known.get(peer.peerId) ?? newPeerRow(peer.peerId);
            fillPeerRow(row, peer);
            if (body.children[i] !== row) body.insertBefore(row, body.children[i] ?? null);
        });
        html('no-peers').hidden = rows.length > 0;
        setText(html('peers-note'), state && state.consensus !== 'closed' ? `${state.goodPeers} good of ${state.peers} connected` : '');
    }

    #events({ events, eventCount }: Session): void {
        const fresh = events.slice(Math.max(0, events.length - (eventCount - this.#shownEvents)));
        this.#shownEvents = eventCount;
        html('no-events').hidden = eventCount > 0;
        if (!fresh.length) return;
        // Newest first. Whoever reads further down keeps what he reads in place.
        const scrolled = this.#log.scrollTop > 4 ? this.#log.scrollHeight - this.#log.scrollTop : undefined;
        for (const event of fresh) {
            const line = make(
                'li',
                { 'data-type': event.type },
                make('time', { datetime: new Date(event.at).toISOString() }, clock(event.at)),
                make('span', { class: 'type' }, event.type),
                make('span', { class: 'text' }, describe(event)),
            );
            if (event.type === 'macro-sync') line.dataset.outcome = event.outcome;
            if (event.type === 'zkp') line.dataset.status = event.status;
            this.#log.prepend(line);
        }
        while (this.#log.childElementCount > events.length) this.#log.lastElementChild?.remove();
        if (scrolled !== undefined) this.#log.scrollTop = this.#log.scrollHeight - scrolled;
    }
}

/** What trust rests on. A chain that is walked from its anchor is proven all the way, before that is said of its end. */
function how(trust: string, via?: string): string {
    if (via === undefined && trust === 'verified') return 'Proven as far as it goes';
    return VIA[via ?? 'peers'] ?? `Through ${via}`;
}

function newPeerRow(peerId: string): HTMLElement {
    return make(
        'tr',
        { 'data-peer': peerId },
        make('th', { scope: 'row', 'data-label': 'Peer' }, make('code', { title: peerId }, shortId(peerId))),
        make('td', { 'data-label': 'Macro sync' }, make('span', { class: 'badge' }), make('span', { class: 'why' })),
        make('td', { 'data-label': 'Address', class: 'address' }, make('code')),
        make('td', { 'data-label': 'Round trip', class: 'right' }),
        make('td', { 'data-label': 'Services', class: 'services' }),
    );
}

function fillPeerRow(row: HTMLElement, peer: PeerRow): void {
    const [, outcome, address, rtt, services] = row.children as HTMLCollectionOf<HTMLElement>;
    row.classList.toggle('gone', !peer.connected);
    const [badge, why] = outcome.children as HTMLCollectionOf<HTMLElement>;
    badge.dataset.outcome = peer.outcome ?? '';
    setText(badge, peer.outcome ?? (peer.connected ? 'asking' : 'left'));
    setText(why, [!peer.connected && peer.outcome ? 'left' : '', peer.reason ?? ''].filter(Boolean).join(': '));
    const code = address.firstElementChild as HTMLElement;
    setText(code, hostOf(peer.address));
    code.title = peer.address;
    setText(rtt, peer.rttMs === undefined ? '–' : duration(peer.rttMs));
    setText(services, peer.services.join(', ') || '–');
}

/** What a failure says: a code for machines, then the message for people. */
function errorText(error: unknown): string {
    if (!(error instanceof Error)) return String(error);
    const code = 'code' in error && typeof error.code === 'string' ? `${error.code}: ` : '';
    return `${code}${error.message}`;
}

function flash(button: HTMLButtonElement, text: string): void {
    const before = button.dataset.label ?? button.textContent ?? '';
    button.dataset.label = before;
    button.textContent = text;
    setTimeout(() => (button.textContent = before), 1500);
}
