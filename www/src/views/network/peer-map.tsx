// The peers around this page: how each is reached, and what it counts for. What is drawn here stands in words in the list of peers.

import './map.css';

import { standing, transportName, type Standing } from './standing.js';
import { duration, shortId } from '../../lib/format.js';
import { useWidth } from '../../lib/width.js';
import { live } from '../../state/connection.js';
import type { PeerRow, Session } from '../../state/session.js';

/** More don't fit around a page; the list has all. */
const MOST = 14;

/** A flat hexagon around the middle, of that radius. */
const hexagon = (r: number): string => `M${r} 0 ${r / 2} ${r * 0.866} ${-r / 2} ${r * 0.866} ${-r} 0 ${-r / 2} ${-r * 0.866} ${r / 2} ${-r * 0.866}z`;

const SIGNS: Record<Standing['sign'], string> = {
    check: 'M-5 .5-1.5 4 5.5-3.5',
    cross: 'M-4.5-4.5 4.5 4.5M4.5-4.5-4.5 4.5',
    clock: 'M0-5v5l3.5 2.5',
    alert: 'M0-6v7M0 5.5v.01',
    dots: 'M-5.5 0v.01M0 0v.01M5.5 0v.01',
};

export function PeerMap({ session: of }: { session: Session }) {
    const session = live(of);
    const [ref, width] = useWidth<HTMLDivElement>(600);
    const dispute = session.inDispute;
    const all = [...session.peers.values()].filter(({ connected, outcome }) => connected || outcome === 'conflicting');
    // Those that left in peace make room; who was banned stays in sight.
    const peers = all.slice(-MOST);
    // On a phone there is room below, not beside.
    const small = width < 460;
    const height = small ? 400 : Math.round(Math.min(440, width * 0.7));
    const middle = { x: width / 2, y: height / 2 };
    const reach = { x: Math.max(60, Math.min(width / 2 - 52, 300)), y: height / 2 - 58 };
    const places = peers.map((_, i) => {
        const angle = -Math.PI / 2 + (2 * Math.PI * (i + (peers.length % 2 ? 0 : 0.5))) / Math.max(peers.length, 3);
        return { x: Math.round(middle.x + reach.x * Math.cos(angle)), y: Math.round(middle.y + reach.y * Math.sin(angle)) };
    });
    const { state } = session;
    const trust = dispute ? 'doubt' : session.milestones.has('head') ? (state?.trust ?? '') : '';
    return (
        <div ref={ref} class="map" data-trust={trust}>
            <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={summary(session, peers, dispute)}>
                {[0.42, 0.74, 1.08].map((part) => (
                    <ellipse key={part} class="map-ring" cx={middle.x} cy={middle.y} rx={reach.x * part} ry={reach.y * part} />
                ))}
                {peers.map((peer, i) => (
                    <Link key={peer.peerId} peer={peer} standing={standing(peer, dispute)} from={middle} to={places[i]} />
                ))}
                {peers.map((peer, i) => (
                    <Peer key={peer.peerId} peer={peer} standing={standing(peer, dispute)} at={places[i]} above={places[i].y < middle.y - 20} small={small} />
                ))}
                <g style={{ transform: `translate(${middle.x}px, ${middle.y}px)` }}>
                    {/* A ring for each new block. */}
                    {state && session.milestones.has('head') && <path key={state.head.hash} class="map-wave" d={hexagon(46)} />}
                    <path class="map-page" d={hexagon(46)} />
                    <text class="map-page-text" y="-2">
                        This page
                    </text>
                    <text class="map-page-sub" y="15">
                        {PAGE_WORDS[trust]}
                    </text>
                </g>
            </svg>
            {peers.length === 0 && <p class="map-none">{session.running || !session.state ? 'Looking for peers' : 'No peers'}</p>}
        </div>
    );
}

const PAGE_WORDS: Record<string, string> = { doubt: 'in doubt', optimistic: 'optimistic', verified: 'verified', '': 'syncing' };

type Point = { x: number; y: number };

function Link({ peer, standing: { tone, gone }, from, to }: { peer: PeerRow; standing: Standing; from: Point; to: Point }) {
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    const angle = Math.atan2(to.y - from.y, to.x - from.x);
    // A line of a length of its own, turned into place: so it moves there when peers come and go.
    const end = Math.max(length - 24, 50);
    const cut = gone ? 0.35 * (end - 48) : 0;
    return (
        <g class={`map-link ${tone}`} data-transport={peer.transport} data-gone={gone} style={{ transform: `translate(${from.x}px, ${from.y}px) rotate(${angle}rad)` }}>
            <line class="map-line" x1={48 + cut} x2={end} />
            {peer.transport === 'webrtc' && <line class="map-line-inner" x1={48 + cut} x2={end} />}
            {!gone && !peer.outcome && <line class="map-asking" x1="48" x2={end} />}
            {gone && <path class="map-cut" d={SIGNS.cross} style={{ transform: `translate(${48 + cut - 14}px, 0px)` }} />}
        </g>
    );
}

function Peer({ peer, standing: { word, tone, sign, gone }, at, above, small }: { peer: PeerRow; standing: Standing; at: Point; /** Its words stand above it, where its line doesn't cross them. */ above: boolean; small: boolean }) {
    return (
        <g class={`map-peer ${tone}`} data-gone={gone} style={{ transform: `translate(${at.x}px, ${at.y}px)` }}>
            <path class="map-hexagon" d={hexagon(22)} />
            <path class="map-sign" d={SIGNS[sign]} />
            <text class="map-name" y={above ? -43 : 36}>
                {shortId(peer.peerId)}
            </text>
            <text class="map-sub" y={above ? -28 : 51}>
                {word !== 'good' ? word : [small ? '' : transportName(peer.transport), peer.rttMs === undefined ? '' : duration(peer.rttMs)].filter(Boolean).join(' · ') || word}
            </text>
        </g>
    );
}

/** The drawing in a sentence. It changes seldom, so that nobody who listens is told of every block. */
function summary(session: Session, peers: PeerRow[], dispute: boolean): string {
    if (peers.length === 0) return 'This page, without peers.';
    const counts = new Map<string, number>();
    for (const peer of peers) {
        const { word } = standing(peer, dispute);
        counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    const parts = [...counts].map(([word, count]) => `${count} ${word}`).join(', ');
    const webrtc = peers.filter(({ connected, transport }) => connected && transport === 'webrtc').length;
    return `This page and ${peers.length} ${peers.length === 1 ? 'peer' : 'peers'} around it: ${parts}. ${webrtc} over WebRTC, ${(session.state?.peers ?? 0) - webrtc} over WebSocket.`;
}

/** What the lines and colours of the drawing mean. */
export function MapLegend() {
    return (
        <ul class="legend" aria-hidden="true">
            <li>
                <svg viewBox="0 0 32 10">
                    <line class="map-line" x1="1" x2="31" y1="5" y2="5" />
                </svg>
                WebSocket
            </li>
            <li>
                <svg viewBox="0 0 32 10" data-transport="webrtc">
                    <line class="map-line" x1="1" x2="31" y1="5" y2="5" />
                    <line class="map-line-inner" x1="1" x2="31" y1="5" y2="5" />
                </svg>
                WebRTC
            </li>
            {(
                [
                    ['good', 'agrees'],
                    ['plain', 'asking'],
                    ['warn', 'in doubt'],
                    ['bad', 'banned'],
                ] as const
            ).map(([tone, text]) => (
                <li key={tone}>
                    <span class={`legend-hexagon ${tone}`} />
                    {text}
                </li>
            ))}
        </ul>
    );
}
