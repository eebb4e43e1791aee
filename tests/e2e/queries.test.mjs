// Questions about the chain, from nodes directly; those of WebRTC ask them through a gateway.

import { WAYS } from './harness.mjs';
import { questions } from './queries.mjs';

questions(WAYS.directly);
