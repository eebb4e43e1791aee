// Peers that lie when asked about accounts and transactions.

import { aboutMoney } from './queries-adversary.mjs';

aboutMoney();
