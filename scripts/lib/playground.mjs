// What a page is told of the devnet that serves it, and what it may ask of it: test coins, and a liar to watch.
//
// A page hosted elsewhere finds none of this, and uses the main network.

import { DEFAULT_ADVERSARY, peerIdOf } from './devnet.mjs';
import { Refusal } from '../serve.mjs';

/** What the faucet gives unless told otherwise, and the most it gives at once. In Luna: 1,000 and 100,000 NIM. */
const GIFT = 100_000_000;
const LARGEST_GIFT = 10_000_000_000;

/** An address as people write it. Its check digits are checked by whoever pays. */
const ADDRESS = /^NQ\d\d( ?[0-9A-HJ-NP-VXY]{4}){8}$/;

/**
 * The mounts for `serve`: `/devnet.json` with `network`, `peers` (those the page shall know) and `verifyingKey`; and
 *
 * - `POST /devnet/faucet` `{ address, luna? }` → `{ hash }` of the payment, which is in one of the next blocks;
 * - `POST /devnet/liar` `{}` → `{ address, peerId }` of the lying peer, which runs from now on; `DELETE` ends it.
 */
export function playground(devnet, { peers = devnet.addresses } = {}) {
    const { network, verifyingKey } = devnet;
    return {
        '/devnet.json': () => ({ network, peers, verifyingKey, faucet: '/devnet/faucet', liar: '/devnet/liar' }),
        '/devnet/faucet': {
            POST: async ({ address, luna = GIFT }) => {
                if (typeof address !== 'string' || !ADDRESS.test(address)) throw new Refusal(400, 'that is no address');
                if (!Number.isInteger(luna) || luna < 1 || luna > LARGEST_GIFT) throw new Refusal(400, `luna takes a whole number from 1 to ${LARGEST_GIFT}`);
                return { hash: await devnet.pay(address, luna) };
            },
        },
        '/devnet/liar': {
            POST: async () => {
                const address = await devnet.startLiar(DEFAULT_ADVERSARY);
                return { address, peerId: peerIdOf(address) };
            },
            DELETE: async () => {
                await devnet.stopLiar();
                return {};
            },
        },
    };
}
