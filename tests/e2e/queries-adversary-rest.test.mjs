// Peers that lie when asked about blocks, that lie unasked, and that don't answer.

import { aboutTheRest } from './queries-adversary.mjs';

aboutTheRest();
