// A client stays alive, with nodes directly; the gateway's tests try it through one.

import { staysAlive } from './alive.mjs';
import { WAYS } from './harness.mjs';

staysAlive(WAYS.directly);
