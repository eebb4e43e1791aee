// What the browser tests share: one Chromium, a server for a page that is nothing but the package, and clients
// whose events reach the test as they come.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before } from 'node:test';

import { launchBrowser } from '../../scripts/lib/browser.mjs';
import { peerIdOf, startDevnet } from '../../scripts/lib/devnet.mjs';
import { root } from '../../scripts/lib/env.mjs';
import { startGateway } from '../../scripts/lib/gateway.mjs';
import { serve } from '../../scripts/serve.mjs';

/** How long anything may take that involves the network, unless a test says otherwise. */
export const PATIENCE_MS = 60_000;

/** For the body of a suite: what its hooks start is ended after its tests, the last first. */
export function scope() {
    const ends = [];
    after(async () => {
        for (const end of ends.reverse()) await end();
    });
    return { after: (end) => ends.push(end) };
}

/** A browser and a server of `tests/e2e/pages/` with the package under `/dist/`. Ends with `t`, a test or `scope()`. */
export async function browserAndServer(t) {
    const server = await serve({ mounts: { '/': join(root, 'tests', 'e2e', 'pages'), '/dist/': join(root, 'dist') } });
    const browser = await launchBrowser();
    t.after(async () => {
        await browser.close();
        await server.close();
    });
    return { browser, server };
}

/** A devnet that ends with `t`. */
export async function devnet(t, options) {
    const net = await startDevnet(options);
    t.after(() => net.stop());
    return net;
}

/**
 * What the tests of a suite share, for its body: `browser`, `server` and `net`, a devnet started with `options`; and with a
 * `way` to its nodes, one of `WAYS`, what is `reached` by it. There once the tests run, and ended after them. `suite` is
 * for what else is to end then.
 */
export function stage(options, way) {
    const shared = { suite: scope() };
    before(async () => {
        Object.assign(shared, await browserAndServer(shared.suite));
        shared.net = await devnet(shared.suite, options);
        if (way) shared.reached = await way.reach(shared.suite, shared.net);
    });
    return shared;
}

/** A gateway to the nodes of a devnet, that ends with `t`. Options as of `startGateway`. */
export async function gatewayFor(t, net, options) {
    const gateway = await startGateway({ upstreams: net.nodes, network: net.network, ...options });
    t.after(() => gateway.stop());
    return gateway;
}

/**
 * The ways that a page can have to the nodes. For each, `reach(t, net)` resolves with
 * - `options` of a client that goes that way and no other;
 * - `peerIds` of the peers that it will have, and their `transport`;
 * - `vanish()` and `comeBack()`: of all those peers.
 */
export const WAYS = {
    directly: {
        name: 'directly',
        reach: async (t, net) => ({
            options: { peers: net.addresses },
            peerIds: net.addresses.map(peerIdOf),
            transport: 'websocket',
            vanish: net.stopNodes,
            comeBack: net.startNodes,
        }),
    },
    websocket: throughGateway('websocket'),
    webrtc: throughGateway('webrtc'),
};

function throughGateway(transport) {
    return {
        name: `through a gateway, over ${transport}`,
        reach: async (t, net) => {
            const gateway = await gatewayFor(t, net);
            return {
                // One peer only: the gateway tells of the nodes, too.
                options: { peers: [gateway[transport]], minPeers: 1, desiredPeers: 1, transports: [transport] },
                peerIds: [gateway.peerId],
                transport,
                vanish: gateway.kill,
                comeBack: gateway.restart,
            };
        },
    };
}

/**
 * A page with nothing on it but the package, imported by a plain `<script type="module">`. `prepare` is given the page
 * before anything is loaded, `context` is its own unless it is to share storage with another page.
 *
 * `page.faults` collects what should never happen: uncaught errors, and errors on the console.
 */
export async function openBlank(t, { browser, server }, prepare = async () => {}, context = undefined) {
    if (!context) {
        const own = await browser.newContext();
        context = own;
        t.after(() => own.close());
    }
    const page = await context.newPage();
    page.faults = [];
    page.on('pageerror', (error) => page.faults.push(`uncaught: ${error.stack || error}`));
    page.on('console', (message) => {
        // The browser itself says on the console that a socket was refused. Nodes refuse all of this machine for a
        // while when they ban the liar on it, so that is no fault of the page's.
        const refused = message.text().startsWith('WebSocket connection to ');
        if (message.type() === 'error' && !refused) page.faults.push(`console: ${message.text()}`);
    });
    page.on('crash', () => page.faults.push('the page crashed'));
    await prepare(page);
    await page.goto(server.url);
    await page.waitForFunction(() => window.pico !== undefined);
    return page;
}

/**
 * Creates a client in `page` and follows its events. Returns a handle:
 *
 * - `events`: those so far; `until(test, what)`: the first one, also of those past, for which `test` holds;
 * - `state()`, `peers()`, `call(method, ...args)`: of the client;
 * - `ask(method, ...args)`: like `call`, but gives the value itself and rejects with the error;
 * - `all(method, ...args)`: everything that an async iterator of the client yields;
 * - `read(method, ...args)`: follows one; a handle with `events` (what it has yielded), `until`, `ended` and `stop()`;
 * - `ended`: resolves when its iterator does, with the error it threw, if any.
 *
 * Rejects with an error of the same `name`, `code` and `message` when `create` does; `typed` says whether it is a
 * `PicoSyncError`.
 */
export async function createClient(page, options) {
    const { feed, binding } = await openFeed(page);
    const result = await page.evaluate(([binding, options]) => window.pico.create(binding, options), [binding, options]);
    if (result.error) throw Object.assign(new Error(result.error.message), result.error);
    const { id } = result;
    return {
        ...feed.handle,
        state: () => page.evaluate((id) => window.pico.clients[id].state, id),
        peers: () => page.evaluate((id) => window.pico.clients[id].peers(), id),
        call: (method, ...args) => page.evaluate(([id, method, args]) => window.pico.call(id, method, args), [id, method, args]),
        ask: async (method, ...args) => valueOf(await page.evaluate(([id, method, args]) => window.pico.call(id, method, args), [id, method, args])),
        all: async (method, ...args) => valueOf(await page.evaluate(([id, method, args]) => window.pico.collect(id, method, args), [id, method, args])),
        read: async (method, ...args) => {
            const { feed, binding } = await openFeed(page);
            const reader = await page.evaluate(([binding, id, method, args]) => window.pico.read(binding, id, method, args), [binding, id, method, args]);
            return { ...feed.handle, stop: () => page.evaluate((reader) => window.pico.stop(reader), reader) };
        },
    };
}

function valueOf({ value, error }) {
    if (error) throw Object.assign(new Error(error.message), error);
    return value;
}

/** A feed that the page can hand things to. */
async function openFeed(page) {
    const feed = new Feed();
    const binding = `feed${(page.feeds = (page.feeds ?? 0) + 1)}`;
    await page.exposeBinding(binding, (_, event) => feed.take(event));
    return { feed, binding };
}

/** As JSON, which has no word for large numbers. */
const show = (event) => JSON.stringify(event, (_, value) => (typeof value === 'bigint' ? `${value}` : value));

/** Events in the order in which they came, and waiting for those to come. */
export class Feed {
    events = [];
    #waiting = new Set();
    #end;
    ended = new Promise((resolve) => (this.#end = resolve));
    handle = { events: this.events, until: (test, what, ms) => this.until(test, what, ms), ended: this.ended };

    take(event) {
        if (event.ended) return this.#end(event.error);
        this.events.push(event);
        for (const look of this.#waiting) look(event);
    }

    until(test, what, ms = PATIENCE_MS) {
        const past = this.events.find(test);
        if (past) return Promise.resolve(past);
        return new Promise((resolve, reject) => {
            const timer = setTimeout(() => {
                this.#waiting.delete(look);
                reject(new Error(`no ${what} within ${ms / 1000} s; events so far:\n${this.events.map(show).join('\n')}`));
            }, ms);
            const look = (event) => {
                if (!test(event)) return;
                clearTimeout(timer);
                this.#waiting.delete(look);
                resolve(event);
            };
            this.#waiting.add(look);
        });
    }
}

/** Tests for events. */
export const is = (type, fields = {}) => (event) =>
    event.type === type && Object.entries(fields).every(([name, value]) => event[name] === value);

/** Waits for `count` heads that come from now on. */
export async function liveHeads(client, count, ms = PATIENCE_MS) {
    const from = client.events.length;
    const enough = () => client.events.slice(from).filter(is('head')).length >= count;
    await client.until(enough, `${count} live heads`, ms);
    return client.events.slice(from).filter(is('head'));
}

/** The client's state, as soon as `test` holds for it. It is looked at again with each event. */
export async function stateOnce(client, test, what, ms = PATIENCE_MS) {
    const deadline = Date.now() + ms;
    for (;;) {
        const seen = client.events.length;
        const state = await client.state();
        if (test(state)) return state;
        const left = deadline - Date.now();
        assert.ok(left > 0, `no ${what} within ${ms / 1000} s; the state is ${show(state)}`);
        await client.until(() => client.events.length > seen, what, left);
    }
}

/** The states of a payment, as they were told or shown. */
const STATES = ['pending', 'included', 'finalized'];

/**
 * Checks that a payment went its way and became final: in order, each state once. Not every payment is seen as included: one at
 * the end of a batch may be final before it is proven to be there.
 */
export function assertBecameFinal(states) {
    const places = states.map((state) => STATES.indexOf(state));
    assert.ok(places.every((place, i) => place > (places[i - 1] ?? -1)), `not in order: ${states}`);
    assert.equal(states.at(-1), 'finalized', `not final: ${states}`);
}

/**
 * Checks that the head events tell the whole story: each one's reverted blocks are those on top of what was told
 * before, its adopted ones lead to its head, and nothing was missed.
 */
export function assertSeamless(events) {
    const chain = [];
    for (const event of events) {
        assert.notEqual(event.type, 'lagged', 'events were missed');
        if (event.type !== 'head') continue;
        for (const hash of event.reverted.toReversed()) {
            // What lies below the first head of this client was never told.
            if (chain.length) assert.equal(chain.pop(), hash, `block ${event.blockNumber} reverts what was not on top`);
        }
        if (event.adopted.length) {
            assert.equal(event.adopted.at(-1), event.hash, 'the last block adopted is the head');
        } else {
            // Back to an earlier block, as a fallback goes.
            assert.ok(event.reverted.length, `head ${event.blockNumber} changes nothing`);
            if (chain.length) assert.equal(chain.at(-1), event.hash, 'what is left below is the head');
            else chain.push(event.hash);
        }
        for (const [i, hash] of event.adopted.entries()) {
            // The block that a fallback went back to is where the verified chain begins, and told again as such.
            if (i === 0 && hash === chain.at(-1)) continue;
            assert.ok(!chain.includes(hash), `${hash} was adopted twice`);
            chain.push(hash);
        }
    }
    return chain;
}
