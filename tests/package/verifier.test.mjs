// How the page treats its verification worker: workers that fail in every way, scripted.

import assert from 'node:assert/strict';
import { before, beforeEach, describe, mock, test } from 'node:test';

import { wrapperModule } from './support.mjs';

let VerificationWorker;
before(async () => ({ VerificationWorker } = await wrapperModule('verifier.ts')));
beforeEach(() => mock.timers.reset());

/** What workers are started with. */
const SETUP = { module: 'module', network: 'unit-albatross', verifyingKey: new Uint8Array([7]) };

/** Workers that do as `script` says with each message; `workers` lists those that were made. */
function scripted(script) {
    const workers = [];
    const make = () => {
        const worker = {
            terminated: false,
            terminate: () => (worker.terminated = true),
            say: (data) => queueMicrotask(() => worker.terminated || worker.onmessage({ data })),
            postMessage: (message) => script(worker, message, workers.length),
        };
        workers.push(worker);
        return worker;
    };
    const notices = [];
    const verifier = new VerificationWorker(make, SETUP, (notice) => notices.push(notice));
    return { verifier, workers, notices };
}

/** Ready at once, and right about every job whose first byte is 1. */
const good = (worker, message) => {
    if (message.type === 'start') worker.say({ type: 'ready' });
    else worker.say({ type: 'verified', id: message.id, valid: message.job[0] === 1 });
};
const valid = new Uint8Array([1]);
const invalid = new Uint8Array([0]);

describe('the verification worker', () => {
    test('gets the module, the network and its key first, then one job at a time', async () => {
        const log = [];
        const { verifier, notices } = scripted((worker, message) => {
            log.push(message.type === 'start' ? message : message.id);
            good(worker, message);
        });
        assert.deepEqual(await Promise.all([valid, invalid, valid].map((job) => verifier.verify(job))), [true, false, true]);
        assert.deepEqual(log, [{ type: 'start', ...SETUP }, 1, 2, 3]);
        assert.deepEqual(notices, []);
        verifier.end();
    });

    test('that dies is replaced, and its job done by the next one', async () => {
        const started = [];
        const { verifier, workers, notices } = scripted((worker, message, nth) => {
            if (message.type === 'start') started.push(message.verifyingKey);
            if (nth === 1 && message.type === 'verify') queueMicrotask(() => worker.onerror({ message: 'out of memory', preventDefault() {} }));
            else good(worker, message);
        });
        assert.deepEqual(await Promise.all([verifier.verify(valid), verifier.verify(invalid)]), [true, false]);
        assert.equal(workers.length, 2);
        assert.ok(workers[0].terminated);
        assert.deepEqual(started, [SETUP.verifyingKey, SETUP.verifyingKey]);
        assert.deepEqual(notices, [{ status: 'restarted', reason: 'out of memory' }]);
        verifier.end();
    });

    test('that a job brings down twice fails that job only', async () => {
        const { verifier, notices } = scripted((worker, message) => {
            if (message.type === 'verify' && message.job[0] === 9) worker.say({ type: 'crashed', id: message.id, reason: 'panicked' });
            else good(worker, message);
        });
        for (let round = 0; round < 5; round += 1) {
            const bad = verifier.verify(new Uint8Array([9]));
            const next = verifier.verify(valid);
            await assert.rejects(bad, { code: 'worker', message: /panicked/ });
            assert.equal(await next, true);
        }
        assert.ok(notices.every(({ status }) => status === 'restarted'));
        verifier.end();
    });

    test('that refuses a job stays', async () => {
        const { verifier, workers } = scripted((worker, message) => {
            if (message.type === 'verify' && message.job[0] === 9) worker.say({ type: 'refused', id: message.id, reason: 'malformed' });
            else good(worker, message);
        });
        await assert.rejects(verifier.verify(new Uint8Array([9])), { code: 'unsupported', message: /malformed/ });
        assert.equal(await verifier.verify(valid), true);
        assert.equal(workers.length, 1);
        verifier.end();
    });

    for (const [how, script] of [
        ['whose script does not load', (worker) => queueMicrotask(() => worker.onerror({ message: '', preventDefault() {} }))],
        ['that can not take the module', (worker) => worker.say({ type: 'failed', reason: 'no memory' })],
        ['that can not be sent anything', () => { throw new Error('not cloneable'); }],
    ]) {
        test(`${how} is not tried again`, async () => {
            const { verifier, workers, notices } = scripted(script);
            assert.equal(await verifier.verify(valid), undefined);
            assert.equal(await verifier.verify(valid), undefined);
            assert.equal(workers.length, 1);
            assert.ok(workers[0].terminated);
            assert.deepEqual(notices.map(({ status }) => status), ['unavailable']);
        });
    }

    test('that can not be made is done without', async () => {
        const notices = [];
        const make = () => { throw new Error('forbidden by policy'); };
        const verifier = new VerificationWorker(make, SETUP, (notice) => notices.push(notice));
        assert.equal(await verifier.verify(valid), undefined);
        assert.deepEqual(notices, [{ status: 'unavailable', reason: 'forbidden by policy' }]);
    });

    test('that keeps dying is given up', async () => {
        const { verifier, workers, notices } = scripted((worker, message) => {
            if (message.type === 'start') worker.say({ type: 'ready' });
            else queueMicrotask(() => worker.onerror({ message: 'killed', preventDefault() {} }));
        });
        const results = await Promise.allSettled([verifier.verify(valid), verifier.verify(valid), verifier.verify(valid)]);
        assert.equal(results[0].reason.code, 'worker');
        assert.equal(results[2].value, undefined);
        assert.equal(workers.length, 3);
        assert.equal(notices.at(-1).status, 'unavailable');
    });

    test('that never answers is noticed', async () => {
        mock.timers.enable({ apis: ['setTimeout'] });
        const silent = scripted(() => {});
        const unstarted = silent.verifier.verify(valid);
        mock.timers.tick(10_000);
        assert.equal(await unstarted, undefined);

        const stuck = scripted((worker, message, nth) => {
            if (nth > 1 || message.type === 'start') good(worker, message);
        });
        const job = stuck.verifier.verify(valid);
        await new Promise((resolve) => setImmediate(resolve));
        mock.timers.tick(20_000);
        assert.equal(await job, true);
        assert.equal(stuck.notices[0].status, 'restarted');
        stuck.verifier.end();
    });

    test('ends with the client, and its jobs with it', async () => {
        const { verifier, workers } = scripted((worker, message) => message.type === 'start' && worker.say({ type: 'ready' }));
        const job = verifier.verify(valid);
        verifier.end();
        await assert.rejects(job, { code: 'closed' });
        await assert.rejects(verifier.verify(valid), { code: 'closed' });
        assert.ok(workers[0].terminated);
    });

    test('takes so many jobs at a time', async () => {
        const { verifier } = scripted((worker, message) => message.type === 'start' && worker.say({ type: 'ready' }));
        const jobs = Array.from({ length: 300 }, () => verifier.verify(valid));
        jobs.forEach((job) => job.catch(() => {}));
        assert.deepEqual(await Promise.all(jobs.slice(260)), Array(40).fill(undefined));
        verifier.end();
    });
});
