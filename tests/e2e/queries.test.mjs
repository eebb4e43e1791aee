// Questions about the chain, from nodes directly; the gateway's tests ask them through one.

import { WAYS } from './harness.mjs';
import { questions } from './queries.mjs';

questions(WAYS.directly);
