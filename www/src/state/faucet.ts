// Test money, where the page is served beside a devnet.

import { computed } from '@preact/signals';

import { devnet, ownDevnet } from './connection.js';

/** Whether there is some: the page may be asked to be on another network than the devnet beside it. */
export const hasFaucet = computed(() => ownDevnet.value?.faucet !== undefined);

/** Why there is no test money. The message is for people. */
export class FaucetError extends Error {
    override readonly name = 'FaucetError';
}

/** Has some sent to an address. Resolves with the transaction's hash. */
export async function getTestNim(address: string): Promise<string> {
    const faucet = devnet.peek()?.faucet;
    if (!faucet) throw new FaucetError('There is no test money on this network.');
    let response: Response;
    try {
        response = await fetch(faucet, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ address }) });
    } catch (error) {
        throw new FaucetError('The faucet can’t be reached. Is `npm start` still running?', { cause: error });
    }
    const answer = response.headers.get('content-type')?.startsWith('application/json') ? ((await response.json()) as { hash?: string; error?: string }) : {};
    if (!response.ok || !answer.hash) throw new FaucetError(`The faucet gave nothing: ${answer.error ?? `it answered with ${response.status}`}.`);
    return answer.hash;
}
