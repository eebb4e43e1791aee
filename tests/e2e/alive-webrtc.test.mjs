// A client stays alive, through a gateway, over WebRTC.

import { staysAlive } from './alive.mjs';
import { WAYS } from './harness.mjs';

staysAlive(WAYS.webrtc);
