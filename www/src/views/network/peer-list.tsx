// The peers in words: what macro sync made of each, how it is reached, what it can do.

import { standing, transportName } from './standing.js';
import { duration, hostOf, shortId } from '../../lib/format.js';
import { live } from '../../state/connection.js';
import type { Session } from '../../state/session.js';
import { Badge } from '../../ui/badge.js';

export function PeerList({ session: of }: { session: Session }) {
    const session = live(of);
    const dispute = session.inDispute;
    const rows = [...session.peers.values()].sort((a, b) => Number(b.connected) - Number(a.connected));
    return (
        <section class="card stack" aria-labelledby="peers-title">
            <div class="row apart">
                <h2 id="peers-title">Peers</h2>
                {session.state && (
                    <p class="soft small numeric">
                        {session.state.goodPeers} of {session.state.peers} agree
                    </p>
                )}
            </div>
            <ul class="rows peer-rows" data-testid="peers" aria-labelledby="peers-title">
                {rows.map((peer) => {
                    const { word, tone, gone } = standing(peer, dispute);
                    return (
                        <li key={peer.peerId} data-peer={peer.peerId} data-transport={peer.transport} data-outcome={peer.outcome ?? ''} data-connected={peer.connected}>
                            <div class="row apart">
                                <code title={peer.peerId}>{shortId(peer.peerId)}</code>
                                <Badge tone={tone}>{word}</Badge>
                            </div>
                            <p class="soft small numeric">
                                {[transportName(peer.transport), hostOf(peer.address), peer.rttMs === undefined ? '' : duration(peer.rttMs)].filter(Boolean).join(' · ')}
                            </p>
                            {peer.reason && <p class={`small ${tone === 'bad' ? 'reason' : 'soft'}`}>{gone && word !== 'banned' ? `left: ${peer.reason}` : peer.reason}</p>}
                            {peer.services.length > 0 && !gone && <p class="soft xs">{peer.services.join(', ')}</p>}
                        </li>
                    );
                })}
            </ul>
            {rows.length === 0 && <p class="soft">No peers yet.</p>}
        </section>
    );
}
