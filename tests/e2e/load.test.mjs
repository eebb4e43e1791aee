// Much at once: nothing is lost, nobody's limits are passed, and memory stays where it is.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CALLS, HISTORY, WATCHED, measureLoad, valueOf } from '../../scripts/lib/load.mjs';

/** How much the page's process may grow when everything is asked for again, in bytes. */
const GROWTH = 24 * 2 ** 20;

test(`${WATCHED} watched addresses, a history of ${HISTORY}, ${CALLS} calls at once`, async (t) => {
    const { watch, accounts, history, memory, received, left, refused, faults } = await measureLoad();

    // Each payment was told of, once for each state that it reached.
    assert.equal(watch.count, watch.distinct);
    for (const { balances } of accounts) assert.deepEqual(balances, Array.from({ length: WATCHED }, (_, i) => BigInt(valueOf(i))));
    for (const { count, distinct } of history) assert.deepEqual([count, distinct], [HISTORY, HISTORY]);

    assert.deepEqual(refused, [], 'limits of nodes were passed');
    assert.deepEqual(left, [], 'peers left');
    assert.deepEqual(faults, []);
    if (memory[0] !== undefined) {
        const [first, last] = [memory[1], memory.at(-1)];
        assert.ok(last - first < GROWTH, `memory grew from ${first} to ${last} bytes`);
    }
    const ms = (results) => results.map(({ ms }) => Math.round(ms)).join(', ');
    t.diagnostic(`accounts ${ms(accounts)} ms, history ${ms(history)} ms, watch ${Math.round(watch.ms)} ms, ${received} bytes received`);
    t.diagnostic(`memory ${memory.map((bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`).join(', ')}`);
});
