// A line that can be cut: connections to a node pass through it.

import { connect, createServer } from 'node:net';

/**
 * A line to the node at a multiaddr. Ends with `t`. Resolves with
 * - `address` of this end, with the node's peer id;
 * - `cut()`: all connections break, and new ones are refused; `mend()`: they aren't any more;
 * - `freeze()`: nothing passes, and nobody is told; `thaw()`: what was held up passes.
 */
export async function lineTo(t, node) {
    const [, host, port, rest] = node.match(/^\/ip4\/([\d.]+)\/tcp\/(\d+)(\/.*)$/);
    const pairs = new Set();
    let server;
    let frozen = false;
    const listen = (at) =>
        new Promise((done, fail) => {
            server = createServer({ pauseOnConnect: true }, (near) => {
                const far = connect(Number(port), host);
                const pair = [near, far];
                pairs.add(pair);
                const end = () => {
                    pairs.delete(pair);
                    for (const socket of pair) socket.destroy();
                };
                for (const socket of pair) socket.on('error', end).on('close', end);
                near.pipe(far).pipe(near);
                if (frozen) for (const socket of pair) socket.pause();
            });
            server.once('error', fail).listen(at, '127.0.0.1', () => done(server.address().port));
        });
    const cut = () =>
        new Promise((done) => {
            server.close(done);
            for (const [near] of pairs) near.destroy();
        });
    const own = await listen(0);
    t.after(cut);
    const every = (work) => {
        for (const pair of pairs) pair.forEach(work);
    };
    return {
        address: `/ip4/127.0.0.1/tcp/${own}${rest}`,
        cut,
        mend: () => listen(own),
        freeze: () => {
            frozen = true;
            every((socket) => socket.pause());
        },
        thaw: () => {
            frozen = false;
            every((socket) => socket.resume());
        },
    };
}
