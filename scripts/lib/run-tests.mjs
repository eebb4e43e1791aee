// Runs test files with Node's own test runner, one at a time: each may have a browser and nodes of its own.

import { run } from 'node:test';
import { spec } from 'node:test/reporters';

import { Failure, env } from './env.mjs';

/** No test file takes longer than this. The longest takes 4 to 5 minutes on a machine that has nothing else to do. */
const FILE_TIMEOUT_MS = 25 * 60_000;

/** Resolves with `{ passed, failed }`; rejects with a `Failure` that has them as `counts` if any failed. */
export async function runTests(files) {
    if (!files.length) throw new Failure('there are no tests to run');
    // The runner's processes inherit this one's environment.
    Object.assign(process.env, env().processEnv);
    const counts = { passed: 0, failed: 0 };
    const stream = run({ files, concurrency: 1, timeout: FILE_TIMEOUT_MS });
    const isTest = ({ details }) => details?.type !== 'suite';
    stream.on('test:pass', (data) => {
        if (isTest(data) && data.skip === undefined && data.todo === undefined) counts.passed += 1;
    });
    stream.on('test:fail', (data) => {
        if (isTest(data) || isHookFailure(data)) counts.failed += 1;
    });
    const report = stream.compose(new spec());
    for await (const text of report) process.stderr.write(text);
    if (counts.failed || !counts.passed) {
        const tests = (n) => `${n} test${n === 1 ? '' : 's'}`;
        throw Object.assign(new Failure(counts.failed ? `${tests(counts.failed)} failed` : 'no test ran'), { counts });
    }
    return counts;
}

/** A suite whose `before` or `after` failed: none of its tests says so. */
function isHookFailure({ details }) {
    return details?.error?.failureType === 'hookFailed';
}
