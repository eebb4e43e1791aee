// The life of a payment, with nodes directly; the gateway's tests have it through one.

import { WAYS } from './harness.mjs';
import { payments } from './payments.mjs';

payments(WAYS.directly);
