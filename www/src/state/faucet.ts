// Test money, where the page is served beside a devnet.

import { computed } from '@preact/signals';

import { DevnetError, askDevnet } from '../lib/devnet.js';
import { devnet, ownDevnet } from './connection.js';

/** Whether there is some: the page may be asked to be on another network than the devnet beside it. */
export const hasFaucet = computed(() => ownDevnet.value?.faucet !== undefined);

/** Has some sent to an address. Resolves with the transaction's hash. Throws `DevnetError`. */
export async function getTestNim(address: string): Promise<string> {
    const faucet = devnet.peek()?.faucet;
    if (!faucet) throw new DevnetError('There is no test money on this network.');
    const { hash } = (await askDevnet(faucet, 'POST', { address })) as { hash?: string };
    if (!hash) throw new DevnetError('The devnet names no payment.');
    return hash;
}
