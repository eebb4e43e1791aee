// The life of a payment, with nodes directly; those of WebRTC have it through a gateway.

import { WAYS } from './harness.mjs';
import { payments } from './payments.mjs';

payments(WAYS.directly);
