// A client stays alive, with nodes directly.

import { staysAlive } from './alive.mjs';
import { WAYS } from './harness.mjs';

staysAlive(WAYS.directly);
