// A client in a browser under load, on a devnet of its own: many accounts asked for at once, a long history, many
// watched addresses. For the test, which says what must come of it, and for the bench, which says how long it took.

import { join } from 'node:path';

import { serve } from '../serve.mjs';
import { launchBrowser } from './browser.mjs';
import { startDevnet } from './devnet.mjs';
import { Failure, root } from './env.mjs';
import { rendererMemory } from './measure.mjs';

/** Transactions of one address. */
export const HISTORY = 1000;
/** Addresses watched, as many as a node takes from one peer; each is paid once. */
export const WATCHED = 250;
/** Calls of `getAccounts` at once. */
export const CALLS = 50;
/** Accounts that each of them is about. */
const ACCOUNTS_PER_CALL = 5;
/** How often accounts and history are asked for, to see what memory does. */
export const ROUNDS = 3;
/** Payments made between two looks at the watch: about what a block of the devnet is given. */
const PAID_AT_ONCE = 50;
/** How long each part may take. */
const PATIENCE_MS = 60_000;

/** What a node logs of a request or a message that it refuses as one too many. */
const REFUSED = /exceeded max requests rate|rate limit exceeded/;

/**
 * Puts a client under load. Resolves with
 * - `accounts` and `history`: `{ ms, … }` for each of `ROUNDS` rounds, `watch`: `{ ms, count, distinct }`;
 * - `memory`: of the page's process in bytes, before, and after each round; `undefined` where that can't be known;
 * - `received`: bytes, of everything together;
 * - `refused`: what nodes logged of limits that were passed, `left`: why peers left, `faults`: of the page.
 */
export async function measureLoad() {
    const refused = [];
    const devnet = await startDevnet({
        epochs: 3,
        transactions: HISTORY,
        log: 'nimiq_network_libp2p::swarm=debug',
        onLog: (line) => REFUSED.test(line) && refused.push(line),
    });
    const server = await serve({
        mounts: {
            '/': join(root, 'tests', 'bench'),
            '/ours/': join(root, 'dist'),
            '/devnet.json': () => ({ network: devnet.network, peers: devnet.addresses }),
        },
    });
    const browser = await launchBrowser();
    const died = devnet.exited.then((message) => Promise.reject(new Failure(message)));
    try {
        return await Promise.race([work(browser, server.url, devnet, refused), died]);
    } finally {
        await browser.close();
        await server.close();
        await devnet.stop();
    }
}

async function work(browser, url, devnet, refused) {
    const page = await browser.newPage();
    const faults = [];
    page.on('pageerror', (error) => faults.push(`uncaught: ${error.stack || error}`));
    page.on('console', (message) => message.type() === 'error' && faults.push(`console: ${message.text()}`));
    page.on('crash', () => faults.push('the page crashed'));
    await page.goto(`${url}load.html`);
    await page.waitForFunction(() => window.load !== undefined);
    /** Calls a function of the page, which must not take too long. */
    const call = async (name, ...args) => {
        let timer;
        const tooLate = new Promise((_, fail) => {
            timer = setTimeout(() => fail(new Failure([`${name} was not done after ${PATIENCE_MS / 1000} s`, ...faults].join('\n'))), PATIENCE_MS);
        });
        try {
            return await Promise.race([page.evaluate(([name, args]) => window.load[name](...args), [name, args]), tooLate]);
        } finally {
            clearTimeout(timer);
        }
    };

    await call('ready');
    const watched = Array.from({ length: WATCHED }, (_, i) => numbered(i));
    const asked = Array.from({ length: CALLS }, (_, i) => watched.slice(i * ACCOUNTS_PER_CALL, (i + 1) * ACCOUNTS_PER_CALL));
    const before = await call('state');
    const memory = [await rendererMemory(browser)];

    await call('watch', watched);
    const paid = [];
    const watch = { ms: 0 };
    for (const [i, address] of watched.entries()) {
        paid.push(await devnet.pay(address, valueOf(i)));
        if (paid.length % PAID_AT_ONCE === 0) {
            const seen = await call('seen', paid);
            Object.assign(watch, seen, { ms: watch.ms + seen.ms });
        }
    }

    const accounts = [];
    const history = [];
    for (let i = 0; i < ROUNDS; i++) {
        accounts.push(await call('accounts', asked));
        history.push(await call('history', devnet.history.address));
        memory.push(await rendererMemory(browser));
    }
    const after = await call('state');
    return { watch, accounts, history, memory, received: after.bytesReceived - before.bytesReceived, left: after.left, refused, faults };
}

/** An address of nobody, as hex. */
const numbered = (i) => 'c0de'.repeat(9) + i.toString(16).padStart(4, '0');

/** What such an address is paid, in Luna. */
export const valueOf = (i) => 10_000 + i;
