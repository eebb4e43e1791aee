// The sync as it happens.

import { beat, session } from '../state/connection.js';

export function NetworkView() {
    void beat.value;
    return (
        <>
            <h1>Network</h1>
            <ul data-testid="peers">
                {[...(session.value?.peers.values() ?? [])].map((peer) => (
                    <li key={peer.peerId} data-peer={peer.peerId} data-transport={peer.transport} data-outcome={peer.outcome}>
                        {peer.peerId}
                    </li>
                ))}
            </ul>
        </>
    );
}
