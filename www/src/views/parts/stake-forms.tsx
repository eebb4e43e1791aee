// What can be done with a stake: the forms, the steps back to the balance, and the choice of a validator.

import { useEffect, useState } from 'preact/hooks';
import type { Staker } from 'pico-sync-client';

import { parseAmount, typedAmount, withUnit } from '../../lib/amount.js';
import { inWords } from '../../lib/errors.js';
import { duration, integer, moment } from '../../lib/format.js';
import { MINIMUM_STAKE } from '../../lib/policy.js';
import { network } from '../../state/connection.js';
import { feeOf } from '../../state/payments.js';
import { PLANS, STAKING_CONTRACT, candidates, minimumProblem, unfit, type Outlook, type Wait } from '../../state/staking.js';
import { Address } from '../../ui/address.js';
import { Amount } from '../../ui/amount.js';
import { Badge } from '../../ui/badge.js';
import { Button } from '../../ui/button.js';
import { Field } from '../../ui/field.js';
import { Identicon } from '../../ui/identicon.js';
import { Notice } from '../../ui/notice.js';
import type { Action } from './stake-action.js';

type OnAct = (action: Action) => void;
/** Slots of an epoch: a validator's share of the blocks. */
const SLOTS = 512;

/** A first stake. */
export function BeginForm({ available, head, onAct }: { available: bigint; head: number; onAct: OnAct }) {
    const [validator, choose] = useState('');
    const [insist, press] = useState(false);
    return (
        <section class="card stack" aria-labelledby="begin">
            <h2 id="begin">Begin to stake</h2>
            <ValidatorChoice value={validator} onChange={choose} head={head} problem={insist && validator === '' ? 'Choose a validator.' : undefined} />
            <AmountForm
                action="Stake"
                verb="stake"
                most={available}
                least={MINIMUM_STAKE}
                feeFrom
                primary
                hint="At least 100 NIM."
                onSubmit={(luna) => {
                    press(true);
                    if (validator === '') return false;
                    onAct({
                        title: 'Stake',
                        text: 'It backs this validator from the next epoch on.',
                        plan: PLANS.stake(validator, luna),
                        luna,
                        done: 'It is staked.',
                    });
                    return true;
                }}
            />
        </section>
    );
}

/** What else can be done with a stake there is. */
export function StakeForms({ staker, prospects, head, available, onAct }: { staker: Staker; prospects: Outlook; head: number; available: bigint; onAct: OnAct }) {
    const [validator, choose] = useState('');
    const { balance, inactiveBalance, retiredBalance, delegation } = staker;
    return (
        <>
            <section class="card stack" aria-labelledby="add">
                <h2 id="add">Add to it</h2>
                <AmountForm
                    action="Add stake"
                    verb="add"
                    most={available}
                    feeFrom
                    problem={(luna) => minimumProblem(balance + luna, inactiveBalance, retiredBalance)}
                    onSubmit={(luna) => onAct({ title: 'Add stake', text: 'It is added to what is active.', plan: PLANS.add(luna), luna, done: 'It is added.' })}
                />
            </section>
            <section class="card stack" aria-labelledby="move">
                <h2 id="move">Another validator</h2>
                {prospects.move ? (
                    <>
                        <ValidatorChoice value={validator} onChange={choose} head={head} not={delegation} />
                        <Button
                            disabled={validator === ''}
                            onClick={() =>
                                onAct({ title: 'Choose this validator', text: 'All of the stake that is not retired backs it from now on.', plan: PLANS.move(validator), done: 'The validator is changed.' })
                            }
                        >
                            Choose validator
                        </Button>
                    </>
                ) : (
                    <p class="soft">
                        {balance > 0n ? 'Deactivate all of the stake first; when its waiting time is over, it can back another validator.' : prospects.wait && <>It can back another validator {waitText(prospects.wait)}</>}
                    </p>
                )}
            </section>
        </>
    );
}

/** The three steps from a stake to the balance. */
export function ReturnSteps({ staker, prospects, head, balance, onAct }: { staker: Staker; prospects: Outlook; head: number; /** What a fee can be paid from. */ balance: bigint; onAct: OnAct }) {
    const { balance: active, inactiveBalance, inactiveFrom, retiredBalance } = staker;
    const soon = inactiveFrom !== undefined && inactiveFrom > head;
    const tooLittle = minimumProblem(active, 0n, retiredBalance + inactiveBalance);
    return (
        <section class="card stack" aria-labelledby="return">
            <h2 id="return">Unstake</h2>
            <p class="soft">From a stake to your balance it takes three steps, with a waiting time between the first two.</p>
            <ol class="ladder">
                <li data-open={prospects.deactivate}>
                    <h3>1. Deactivate</h3>
                    {active > 0n ? (
                        <AmountForm
                            action="Deactivate"
                            verb="deactivate"
                            problem={(luna) => (active > luna && active - luna < MINIMUM_STAKE ? 'Leave at least 100 NIM active, or nothing.' : undefined)}
                            most={active}
                            hint={inactiveBalance > 0n ? 'What is inactive already waits anew together with it.' : 'It stops working with the next election block.'}
                            onSubmit={(luna) =>
                                onAct({ title: 'Deactivate stake', text: 'It stays staked, and can be retired after the waiting time.', plan: PLANS.setActive(active - luna), luna, done: 'It is deactivated: the waiting time runs.' })
                            }
                        />
                    ) : (
                        <p class="soft">Nothing is active.</p>
                    )}
                </li>
                <li data-open={prospects.retire}>
                    <h3>2. Retire</h3>
                    {inactiveBalance > 0n ? (
                        <>
                            <p>
                                <Amount luna={inactiveBalance} /> {soon ? `will be inactive from block ${integer(inactiveFrom)} on.` : 'are inactive.'}
                            </p>
                            {prospects.wait && (
                                <p class="soft" data-testid="stake-wait">
                                    They can be retired {waitText(prospects.wait)}
                                </p>
                            )}
                            {prospects.retire && tooLittle && <p class="soft">{tooLittle} Deactivate the rest, or reactivate this.</p>}
                            <div class="actions">
                                {prospects.retire && !tooLittle && (
                                    <Button
                                        kind="primary"
                                        onClick={() =>
                                            onAct({ title: 'Retire stake', text: 'It can be withdrawn then, and can’t be made active again.', plan: PLANS.retire(inactiveBalance), luna: inactiveBalance, done: 'It is retired, and can be withdrawn.' })
                                        }
                                    >
                                        Retire
                                    </Button>
                                )}
                                <Button
                                    onClick={() =>
                                        onAct({ title: 'Reactivate stake', text: 'All of it works again.', plan: PLANS.setActive(active + inactiveBalance), luna: inactiveBalance, done: 'It is active again.' })
                                    }
                                >
                                    Reactivate
                                </Button>
                            </div>
                        </>
                    ) : (
                        <p class="soft">Nothing is inactive.</p>
                    )}
                </li>
                <li data-open={prospects.withdraw}>
                    <h3>3. Withdraw</h3>
                    {retiredBalance > 0n ? (
                        <Button
                            kind="primary"
                            onClick={() =>
                                onAct({
                                    title: 'Withdraw stake',
                                    text: 'It is paid to this account. The fee is taken from it.',
                                    plan: PLANS.withdraw(retiredBalance),
                                    luna: retiredBalance,
                                    feeFromStake: true,
                                    done: 'It is back in your balance.',
                                })
                            }
                        >
                            {`Withdraw ${withUnit(retiredBalance)}`}
                        </Button>
                    ) : (
                        <p class="soft">Nothing is retired.</p>
                    )}
                </li>
            </ol>
            {balance === 0n && active + inactiveBalance > 0n && <Notice live="off">This account has no balance to pay fees from; these steps are then sent without one.</Notice>}
        </section>
    );
}

function waitText({ block, blocks, ms, because }: Wait): string {
    const when = `from block ${integer(block)} on: in ${integer(blocks)} blocks, about ${duration(ms)}`;
    const at = ms > 86_400_000 / 2 ? ` (${moment(Date.now() + ms)})` : '';
    const why = {
        epoch: 'First the epoch has to end, and then the next, in which misbehaviour could still be reported.',
        release: 'Until then misbehaviour of the validator could still be reported.',
        jail: 'Its validator is jailed for misbehaviour, and the stake with it.',
    }[because];
    return `${when}${at}. ${why}`;
}

/** An amount, with all of it at hand, and a button. */
function AmountForm({ action, verb, most, least = 1n, hint, feeFrom = false, primary = false, problem, onSubmit }: { action: string; /** For the label: the amount to … */ verb: string; primary?: boolean; most: bigint; least?: bigint; hint?: string; /** The fee comes out of the same pot. */ feeFrom?: boolean; problem?: (luna: bigint) => string | undefined; /** `false` if it was not taken. */ onSubmit: (luna: bigint) => boolean | void }) {
    const [typed, type] = useState('');
    const [insist, press] = useState(false);
    const [fee, learn] = useState(0n);
    const [trouble, tell] = useState<string>();
    useEffect(() => {
        if (!feeFrom) return;
        let left = false;
        // The largest of them: what it costs exactly is said before it is sent.
        feeOf(PLANS.stake(STAKING_CONTRACT, MINIMUM_STAKE), 'standard').then(
            (found) => !left && learn(found),
            (error: unknown) => !left && tell(inWords(error)),
        );
        return () => {
            left = true;
        };
    }, [feeFrom]);
    const can = most > fee ? most - fee : 0n;
    const { luna, problem: unread } = parseAmount(typed);
    const wrong =
        unread ?? (luna === undefined ? undefined : luna > can ? `That is more than there is: ${withUnit(can)}${feeFrom ? ' beside the fee' : ''}.` : luna < least ? (least === MINIMUM_STAKE ? 'A stake is at least 100 NIM.' : 'Enter an amount above 0.') : problem?.(luna));
    return (
        <form
            class="stack tight"
            onSubmit={(event) => {
                event.preventDefault();
                press(true);
                if (luna === undefined || wrong !== undefined) return;
                if (onSubmit(luna) === false) return;
                type('');
                press(false);
            }}
        >
            <Field
                label={`Amount to ${verb}`}
                hint={hint}
                value={typed}
                onInput={type}
                error={(insist || typed !== '') && !(typed === '' && !insist) ? wrong : undefined}
                inputMode="decimal"
                autocomplete="off"
                placeholder="0"
                maxLength={40}
                end={
                    <Button kind="quiet" small onClick={() => type(typedAmount(can))}>
                        Max
                    </Button>
                }
            />
            {trouble && <Notice tone="warn">{trouble}</Notice>}
            <Button type="submit" kind={primary ? 'primary' : 'secondary'}>
                {action}
            </Button>
        </form>
    );
}

/** The validators, the largest first, to choose one of. */
function ValidatorChoice({ value, onChange, head, not, problem }: { value: string; onChange: (address: string) => void; head: number; not?: string; problem?: string }) {
    const list = candidates.value;
    if (!list) return <span class="skeleton line-skeleton" />;
    const offered = list.filter(({ address }) => address !== not);
    if (!offered.length) return <p class="soft">There is no other validator in this epoch.</p>;
    return (
        <fieldset class="field">
            <legend class="label">Validator</legend>
            <div class="validators">
                {offered.map((one) => {
                    const reason = unfit(network.value, one, head);
                    return (
                        <label key={one.address} class="validator">
                            <input type="radio" name="validator" value={one.address} checked={one.address === value} disabled={reason !== undefined} onChange={() => onChange(one.address)} />
                            <Identicon address={one.address} size={2.5} />
                            <span class="validator-text">
                                <Address address={one.address} look="short" />
                                <span class="small soft">
                                    {one.details ? (
                                        <>
                                            <Amount luna={one.details.totalStake} /> · {integer(one.details.numStakers)} {one.details.numStakers === 1 ? 'staker' : 'stakers'}
                                        </>
                                    ) : (
                                        'Asking…'
                                    )}
                                </span>
                                {reason && <span class="small warn-text">{reason}</span>}
                            </span>
                            {one.slots > 0 && <Badge title={`${one.slots} of ${SLOTS} slots`}>{((one.slots / SLOTS) * 100).toFixed(1)} %</Badge>}
                        </label>
                    );
                })}
            </div>
            {problem && <p class="small bad-text">{problem}</p>}
        </fieldset>
    );
}

/** The validator that a stake is with. */
export function ValidatorLine({ address, title }: { address: string; title: string }) {
    const one = candidates.value?.find((candidate) => candidate.address === address);
    return (
        <div class="party">
            <Identicon address={address} size={2.5} />
            <span>
                <span class="small soft">{title}</span>
                <Address address={address} />
                {one?.details && (
                    <span class="small soft">
                        <Amount luna={one.details.totalStake} /> of {integer(one.details.numStakers)} {one.details.numStakers === 1 ? 'staker' : 'stakers'}
                    </span>
                )}
            </span>
        </div>
    );
}
