// What a peer counts for at the moment, in a word, a colour and a sign: the same in the drawing and in the list.

import type { PeerRow } from '../../state/session.js';
import type { Tone } from '../../ui/badge.js';

export type Standing = { word: string; tone: Tone; sign: 'check' | 'cross' | 'clock' | 'alert' | 'dots'; /** Its connection is over. */ gone: boolean };

/** `dispute`: whether no peer is believed at the moment. */
export function standing(peer: PeerRow, dispute: boolean): Standing {
    const gone = !peer.connected;
    switch (peer.outcome) {
        case 'conflicting':
            if (gone) return { word: 'banned', tone: 'bad', sign: 'cross', gone };
            // Who contradicts is not yet who is wrong.
            return dispute ? { word: 'contradicts', tone: 'warn', sign: 'alert', gone } : { word: 'conflicting', tone: 'bad', sign: 'cross', gone };
        case 'good':
            if (gone) return { word: 'left', tone: 'plain', sign: 'dots', gone };
            return dispute ? { word: 'in doubt', tone: 'warn', sign: 'dots', gone } : { word: 'good', tone: 'good', sign: 'check', gone };
        case 'outdated':
            return { word: gone ? 'left' : 'outdated', tone: gone ? 'plain' : 'warn', sign: 'clock', gone };
        case 'incompatible':
            return { word: gone ? 'left' : 'incompatible', tone: gone ? 'plain' : 'calm', sign: 'alert', gone };
        default:
            return { word: gone ? 'left' : 'asking', tone: 'plain', sign: 'dots', gone };
    }
}

/** How a transport is written. */
export const transportName = (transport: string): string => (transport === 'webrtc' ? 'WebRTC' : transport === 'websocket' ? 'WebSocket' : transport);
