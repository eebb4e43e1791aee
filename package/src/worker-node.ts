// The script of the verification worker in Node, which is a thread.

import { parentPort } from 'node:worker_threads';

import { jobs } from './jobs.js';
import type { Request } from './messages.js';

const take = jobs((message) => parentPort?.postMessage(message));
parentPort?.on('message', (message) => take(message as Request));
