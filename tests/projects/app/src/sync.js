// What a dApp does with a client, with a report for the test that drives it.

/** Syncs until all is verified, asks for the balance of `account`, and closes. `options` are the client's. */
export async function sync(PicoSyncClient, { account, ...options }) {
    const client = await PicoSyncClient.create(options);
    const events = [];
    const reading = (async () => {
        for await (const event of client) events.push(event);
    })();
    await client.ready();
    const state = await client.ready({ trust: 'verified' });
    const { balance, trust } = await client.getAccount(account);
    const transports = client.peers().map((peer) => peer.transport);
    await client.close();
    await reading;
    return {
        head: state.head.blockNumber,
        balance: String(balance),
        trust,
        transports,
        worker: events.filter((event) => event.type === 'worker').map(({ status, reason }) => ({ status, reason })),
        after: client.state.consensus,
    };
}
