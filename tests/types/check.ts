// Compiles only if `dist/index.d.ts` offers what `contract.d.ts` promises: code written against the promise works
// with the package.

import * as actual from 'pico-sync-client';
import type * as contract from './contract.js';

/** Fails to compile where `Actual` cannot be used as a `Promised`. */
function assignable<Promised>(_: Promised): void {}
declare function a<T>(): T;

// What the package gives is what was promised.
assignable<contract.ClientState>(a<actual.ClientState>());
assignable<contract.Head>(a<actual.Head>());
assignable<contract.SyncEvent>(a<actual.SyncEvent>());
assignable<contract.Trust>(a<actual.Trust>());
assignable<contract.ErrorCode>(a<actual.ErrorCode>());
assignable<contract.PicoSyncError>(a<actual.PicoSyncError>());
assignable<contract.Account>(a<actual.Account>());
assignable<contract.Validator>(a<actual.Validator>());
assignable<contract.Staker>(a<actual.Staker>());
assignable<contract.Block>(a<actual.Block>());
assignable<contract.TransactionDetails>(a<actual.TransactionDetails>());

// What was promised to be accepted is accepted.
assignable<actual.ClientOptions>(a<contract.ClientOptions>());
assignable<actual.LogLevel>(a<contract.LogLevel>());
assignable<actual.Network>(a<contract.Network>());
assignable<actual.ErrorCode>(a<contract.ErrorCode>());

// What code written against the promise passes around, the package's own types take as well.
assignable<actual.ClientState>(a<contract.ClientState>());
assignable<actual.SyncEvent>(a<contract.SyncEvent>());
assignable<actual.Validator>(a<contract.Validator>());
assignable<actual.Staker>(a<contract.Staker>());
assignable<actual.Block>(a<contract.Block>());
assignable<actual.TransactionDetails>(a<contract.TransactionDetails>());

// The class: every member, with every way to call it.
type Members = keyof contract.PicoSyncClient;
assignable<Pick<contract.PicoSyncClient, Members>>(a<Pick<actual.PicoSyncClient, Members>>());
assignable<(options?: contract.ClientOptions) => Promise<Pick<contract.PicoSyncClient, Members>>>(actual.PicoSyncClient.create);

/** Static members. */
assignable<(network: contract.Network) => Promise<void>>(actual.PicoSyncClient.clearStorage);

/** As a wallet would write it. */
export async function pay(client: actual.PicoSyncClient, raw: Uint8Array, addresses: string[]): Promise<bigint> {
    const accounts = await client.getAccounts(addresses);
    for (const account of accounts) if (account.type === 'vesting') return account.details.stepAmount;
    const watched = client.watchAddresses(addresses);
    const { hash }: contract.TransactionDetails = await client.sendTransaction(raw);
    for await (const transaction of watched) if (transaction.hash === hash && transaction.state === 'finalized') break;
    const { fee } = await client.waitForTransaction(hash, { confirmations: 'finalized', timeoutMs: 1000 });
    for await (const { value } of client.transactionsByAddress(addresses[0] ?? '', { limit: 3, sinceBlock: 7 })) return value + fee;
    return (await client.getStaker(addresses[0] ?? ''))?.balance ?? 0n;
}

/** As a dApp would write it. */
export async function use(): Promise<number> {
    await using client = await actual.PicoSyncClient.create({ network: 'unit-albatross', peers: [], minPeers: 1 });
    const { head }: contract.ClientState = await client.ready({ trust: 'verified', timeoutMs: 1000 });
    for await (const event of client) {
        if (event.type === 'head' && event.kind === 'extended') return event.blockNumber - head.blockNumber;
    }
    try {
        await client.connect('/ip4/127.0.0.1/tcp/8443/ws');
    } catch (error) {
        if (error instanceof actual.PicoSyncError && error.code === 'no-peers') return -1;
        throw error;
    }
    return client.peers().filter(({ rttMs }) => (rttMs ?? 0) > 100).length;
}
