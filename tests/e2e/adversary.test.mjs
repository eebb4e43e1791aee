// Liars that a page meets directly; the gateway's tests have some of them behind a gateway.

import { liars } from './adversary.mjs';

liars('a liar among honest nodes');
