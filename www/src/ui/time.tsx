// A moment, told as it is spoken of: "3 min ago" while that says more than a date.

import { signal } from '@preact/signals';

import { age, moment } from '../lib/format.js';

/** Beats every ten seconds while a time is shown. */
const now = signal(Date.now());
setInterval(() => (now.value = Date.now()), 10_000);

/** A day, in ms: what is older is told by its date. */
const DAY = 86_400_000;

/** `at` in Unix ms. The whole date and time stand in its title. */
export function Time({ at }: { at: number }) {
    const text = now.value - at < DAY ? age(at, Math.max(now.value, Date.now())) : moment(at);
    return (
        <time dateTime={new Date(at).toISOString()} title={moment(at)}>
            {text}
        </time>
    );
}
