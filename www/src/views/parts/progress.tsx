// A transaction on its way: signed, sent, in a block, final; or stuck, and why.

import type { Sending, Step } from '../../state/payments.js';
import { integer } from '../../lib/format.js';
import { Button } from '../../ui/button.js';
import { Icon } from '../../ui/icon.js';
import { Notice } from '../../ui/notice.js';

const STEPS: { steps: Step[]; text: string }[] = [
    { steps: ['signing', 'sending'], text: 'Signed and given to the network' },
    { steps: ['pending'], text: 'In a block' },
    { steps: ['included'], text: 'Final: it can’t be reverted any more' },
];
const ORDER: Step[] = ['signing', 'sending', 'pending', 'included', 'finalized'];

const NOW: Record<Step, string> = {
    signing: 'Signing…',
    sending: 'Giving it to the network…',
    pending: 'Sent. It waits for a place in a block.',
    included: 'It is in a block. The next checkpoint makes it final.',
    finalized: 'Done: it is final.',
    expired: 'It got into no block in time, and can’t any more. Nothing was paid.',
    failed: 'It is in a block, but could not do what it says. Only its fee was paid.',
};

export function Progress({ sending, done }: { sending: Sending; /** What to say in the end. */ done?: string }) {
    const step = sending.step.value;
    const block = sending.transaction.value?.blockNumber;
    const problem = sending.problem.value;
    const over = step === 'expired' || step === 'failed';
    return (
        <div class="stack">
            {!over && (
                <ol class="progress" data-step={step}>
                    {STEPS.map(({ steps, text }, i) => {
                        const through = ORDER.indexOf(step) > ORDER.indexOf(steps[steps.length - 1]);
                        const now = steps.includes(step);
                        return (
                            <li key={i} data-now={now} data-done={through}>
                                <span class="progress-mark">{through ? <Icon name="check" /> : now && problem === undefined ? <span class="spinner" aria-hidden="true" /> : null}</span>
                                <span>
                                    {text}
                                    {i === 1 && through && block !== undefined && <span class="soft numeric">, {integer(block)}</span>}
                                </span>
                            </li>
                        );
                    })}
                </ol>
            )}
            {problem !== undefined ? (
                <Notice
                    tone="bad"
                    actions={
                        <Button small onClick={sending.again}>
                            Try again
                        </Button>
                    }
                >
                    {problem}
                </Notice>
            ) : (
                <Notice tone={over ? 'bad' : step === 'finalized' ? 'good' : 'calm'} icon={over || step === 'finalized' ? undefined : 'clock'}>
                    {step === 'finalized' && done ? done : NOW[step]}
                </Notice>
            )}
        </div>
    );
}
