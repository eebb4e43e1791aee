// One step with a stake: looked at once more, sent, and followed.

import { useEffect, useState } from 'preact/hooks';

import { inWords } from '../../lib/errors.js';
import { feeOf, send, type Plan, type Sending } from '../../state/payments.js';
import { Amount } from '../../ui/amount.js';
import { Button } from '../../ui/button.js';
import { Dialog } from '../../ui/dialog.js';
import { Notice } from '../../ui/notice.js';
import { Progress } from './progress.js';

/** What is to be done. */
export type Action = {
    title: string;
    /** What it comes to, in a sentence or two. */
    text: string;
    plan: Plan;
    /** What is moved by it, in Luna; none for what only changes a setting. */
    luna?: bigint;
    /** The fee is taken from the stake that is paid out, not from the balance. */
    feeFromStake?: boolean;
    /** What to say when it is final. */
    done: string;
};

/** The fee for it: the usual one, unless the account can't pay that. Transactions without a fee are taken, too. */
async function stakingFee(plan: Plan, balance: bigint, fromStake: boolean): Promise<bigint> {
    const fee = await feeOf(plan, 'standard');
    return fromStake || fee <= balance ? fee : 0n;
}

export function Act({ action, from, balance, onClose }: { action: Action; from: string; /** What the account can pay a fee from. */ balance: bigint; onClose: () => void }) {
    const { title, text, plan, luna, feeFromStake = false, done } = action;
    const [fee, learn] = useState<bigint>();
    const [problem, tell] = useState<string>();
    const [sending, begin] = useState<Sending>();
    useEffect(() => {
        let left = false;
        stakingFee(plan, balance, feeFromStake).then(
            (found) => !left && learn(found),
            (error: unknown) => !left && tell(inWords(error)),
        );
        return () => {
            left = true;
        };
    }, [plan]);
    useEffect(() => () => sending?.leave(), [sending]);
    return (
        <Dialog
            open
            onClose={onClose}
            title={title}
            actions={
                sending ? (
                    <Button onClick={onClose}>Close</Button>
                ) : (
                    <>
                        <Button onClick={onClose}>Cancel</Button>
                        <Button kind="primary" disabled={fee === undefined} onClick={() => fee !== undefined && begin(send(from, plan, fee))}>
                            Confirm
                        </Button>
                    </>
                )
            }
        >
            {luna !== undefined && (
                <p class="total">
                    <Amount luna={luna} />
                </p>
            )}
            <p>{text}</p>
            {!sending && fee !== undefined && (
                <p class="small soft">
                    Fee: <Amount luna={fee} />
                </p>
            )}
            {problem && <Notice tone="bad">{problem}</Notice>}
            {sending && <Progress sending={sending} done={done} />}
        </Dialog>
    );
}
