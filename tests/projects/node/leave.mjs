// Closes a client that is still connecting, to the address that it is given, as soon as it is told to: the process has
// to end, and in order.

import { PicoSyncClient } from 'pico-sync-client';

const joined = new Promise((resolve) => process.once('message', resolve));
const client = await PicoSyncClient.create({ network: 'unit-albatross', peers: [process.argv[2]] });
await joined;
await client.close();
process.disconnect();
