// Test money, where the page is served beside a devnet.

import { devnet } from './connection.js';

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
    const answer = (await response.json().catch(() => ({}))) as { hash?: string; error?: string };
    if (!response.ok || !answer.hash) throw new FaucetError(`The faucet gave nothing: ${answer.error ?? `it answered with ${response.status}`}.`);
    return answer.hash;
}
