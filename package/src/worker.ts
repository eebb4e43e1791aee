// The script of the verification worker in a browser, `pico-sync-client/worker`: for those, too, who make the worker
// themselves.

import { jobs } from './jobs.js';
import type { Request } from './messages.js';

const take = jobs((message) => postMessage(message));
addEventListener('message', ({ data }: MessageEvent<Request>) => take(data));
