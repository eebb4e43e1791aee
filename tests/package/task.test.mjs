// Tasks of the event loop: in order, each with the microtasks that follow from it, and without keeping a process alive.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { wrapperModule } from './support.mjs';

let soon, nextTask;
before(async () => ({ soon, nextTask } = await wrapperModule('task.ts')));

const ports = () => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length;

describe('work that is asked for soon', () => {
    test('is done in order, and what follows from it before the next', async () => {
        const order = [];
        for (const n of [1, 2, 3]) {
            soon(() => {
                order.push(`task ${n}`);
                queueMicrotask(() => order.push(`after ${n}`));
            });
        }
        queueMicrotask(() => order.push('before all'));
        await nextTask();
        assert.deepEqual(order, ['before all', 'task 1', 'after 1', 'task 2', 'after 2', 'task 3', 'after 3']);
    });

    test('may ask for more', async () => {
        let rounds = 0;
        await new Promise((resolve) => {
            const again = () => (rounds++ < 100 ? soon(again) : resolve());
            soon(again);
        });
        assert.equal(rounds, 101);
    });

    test('does not hold up what it is not done before', async () => {
        const others = ports();
        const done = nextTask();
        assert.equal(ports(), others + 1, 'a process waits for work that is to be done');
        await done;
        assert.equal(ports(), others, 'and not for more to be asked for');
    });
});
