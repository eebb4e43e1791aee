// The main story, with nodes directly; the gateway's tests tell it through one.

import { WAYS } from './harness.mjs';
import { crossing, following } from './sync.mjs';

following(WAYS.directly);
crossing(WAYS.directly);
