// A payment: filled in, looked at once more, and followed on its way.

import { useEffect, useMemo, useState } from 'preact/hooks';

import { inPath } from '../app/router.js';
import { isAddress, tidyAddress } from '../lib/address.js';
import { parseAmount, typedAmount, withUnit } from '../lib/amount.js';
import { inWords } from '../lib/errors.js';
import { MAX_MESSAGE_BYTES, byteLength, messageProblem } from '../lib/message.js';
import { wallet } from '../lib/wallet.js';
import { balances } from '../state/accounts.js';
import { pendingOut } from '../state/history.js';
import { FEE_LEVELS, feeOf, payment, send, type FeeLevel, type Sending } from '../state/payments.js';
import { STAKING_CONTRACT } from '../state/staking.js';
import { accountRecords } from '../vault/vault.js';
import type { AccountRecord } from '../vault/store.js';
import { Amount } from '../ui/amount.js';
import { Button, ButtonLink } from '../ui/button.js';
import { Choices, Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';
import { Page } from '../ui/page.js';
import { AddressField } from './parts/address-field.js';
import { Party } from './parts/history-list.js';
import { AccountLine, OwnAccount } from './parts/own-account.js';
import { Progress } from './parts/progress.js';

const LEVELS: { value: FeeLevel; text: string }[] = [
    { value: 'free', text: 'Free' },
    { value: 'standard', text: 'Standard' },
    { value: 'express', text: 'Express' },
];

/** What is filled in, as it was typed. */
type Draft = { recipient: string; amount: string; message: string; level: FeeLevel };

export function Send({ address }: { address: string }) {
    return (
        <OwnAccount address={address} signing>
            {(account) => <Payment account={account} />}
        </OwnAccount>
    );
}

function Payment({ account: { address, label } }: { account: AccountRecord }) {
    const [draft, edit] = useState<Draft>({ recipient: '', amount: '', message: '', level: 'standard' });
    const [step, goTo] = useState<'form' | 'confirm'>('form');
    const [sending, begin] = useState<Sending>();
    useEffect(() => () => sending?.leave(), [sending]);
    const fee = useFee(draft);
    const back = { to: `/account/${inPath(address)}`, text: label };
    const value = parseAmount(draft.amount).luna ?? 0n;

    if (sending) {
        return (
            <Page title="Payment" back={back}>
                <div class="card stack">
                    <p class="total">
                        <Amount luna={value} />
                    </p>
                    <dl class="facts">
                        <Party title="To" address={draft.recipient} />
                    </dl>
                    <Progress sending={sending} />
                    <ButtonLink kind={sending.transaction.value ? 'primary' : 'secondary'} href={`#${back.to}`}>
                        To the account
                    </ButtonLink>
                </div>
            </Page>
        );
    }
    if (step === 'confirm' && fee.luna !== undefined) {
        const of = fee.luna;
        return (
            <Page title="Confirm payment" back={back}>
                <div class="card stack">
                    <p class="total">
                        <Amount luna={value} />
                    </p>
                    <dl class="facts">
                        <Party title="From" address={address} />
                        <Party title="To" address={draft.recipient} />
                        {draft.message !== '' && (
                            <div>
                                <dt>Message</dt>
                                <dd class="history-message-whole">{draft.message}</dd>
                            </div>
                        )}
                        <div>
                            <dt>Fee</dt>
                            <dd>
                                <Amount luna={of} />
                            </dd>
                        </div>
                        <div>
                            <dt>In all</dt>
                            <dd>
                                <b>
                                    <Amount luna={value + of} />
                                </b>
                            </dd>
                        </div>
                    </dl>
                    <p class="soft small">Compare the address, or its picture: a payment can’t be taken back.</p>
                    <div class="actions">
                        <Button onClick={() => goTo('form')}>Change</Button>
                        <Button kind="primary" icon="send" onClick={() => begin(send(address, payment(draft.recipient, value, draft.message), of))}>
                            Send now
                        </Button>
                    </div>
                </div>
            </Page>
        );
    }
    return (
        <Page title="Send" back={back}>
            <Form from={address} draft={draft} edit={edit} fee={fee} onDone={() => goTo('confirm')} />
        </Page>
    );
}

type Fee = { luna?: bigint; problem?: string };

function Form({ from, draft, edit, fee, onDone }: { from: string; draft: Draft; edit: (draft: Draft) => void; fee: Fee; onDone: () => void }) {
    const [insist, press] = useState(false);
    const [touched, touch] = useState(false);
    const known = balances.value.get(from);
    // What is on its way is spent, though the balance has it still.
    const out = pendingOut(from).value;
    const available = known && known.balance > out ? known.balance - out : known && 0n;
    const amount = parseAmount(draft.amount);
    const short = amount.luna !== undefined && available !== undefined && fee.luna !== undefined && amount.luna + fee.luna > available;
    const amountProblem =
        amount.problem ??
        (amount.luna === 0n ? 'Enter an amount above 0.' : short ? `That is more than there is: ${withUnit(available ?? 0n)}, of which the fee takes ${withUnit(fee.luna ?? 0n)}.` : undefined);
    const recipient = tidyAddress(draft.recipient);
    const recipientProblem =
        recipient === from ? 'That is this account itself.' : recipient === STAKING_CONTRACT ? 'That is the staking contract: use “Stake” instead.' : undefined;
    const wrongMessage = messageProblem(draft.message);
    const others = accountRecords.value.filter(({ address }) => address !== from);
    const submit = (event: SubmitEvent) => {
        event.preventDefault();
        press(true);
        if (!isAddress(recipient, wallet.peek()) || recipientProblem || amountProblem || wrongMessage || fee.luna === undefined) return;
        edit({ ...draft, recipient });
        onDone();
    };
    const max = () => {
        touch(true);
        if (available !== undefined && fee.luna !== undefined) edit({ ...draft, amount: typedAmount(available > fee.luna ? available - fee.luna : 0n) });
    };
    return (
        <form class="card stack" onSubmit={submit}>
            <AddressField label="Recipient" value={draft.recipient} onInput={(recipient) => edit({ ...draft, recipient })} problem={recipientProblem} insist={insist} autofocus />
            {others.length > 0 && draft.recipient === '' && (
                <div class="stack tight">
                    <p class="label" id="own-accounts">
                        Your accounts
                    </p>
                    <ul class="chips" aria-labelledby="own-accounts">
                        {others.slice(0, 6).map(({ address, label }) => (
                            <li key={address}>
                                <button type="button" class="chip" onClick={() => edit({ ...draft, recipient: address })}>
                                    <AccountLine address={address} label={label} size={2} />
                                </button>
                            </li>
                        ))}
                    </ul>
                </div>
            )}
            <Field
                label="Amount"
                hint={available === undefined ? undefined : `There are ${withUnit(available)}.`}
                value={draft.amount}
                onInput={(text) => {
                    edit({ ...draft, amount: text });
                    touch(true);
                }}
                error={insist || (touched && draft.amount !== '') ? amountProblem : undefined}
                inputMode="decimal"
                autocomplete="off"
                placeholder="0"
                maxLength={40}
                end={
                    <Button kind="quiet" small onClick={max} disabled={available === undefined || fee.luna === undefined}>
                        Max
                    </Button>
                }
            />
            <Field
                label="Message"
                hint={
                    <>
                        Public, for everyone to read. Can be left empty. <span class="numeric">{`${byteLength(draft.message)} of ${MAX_MESSAGE_BYTES} bytes`}</span>
                    </>
                }
                value={draft.message}
                onInput={(message) => edit({ ...draft, message })}
                error={wrongMessage}
                spellcheck
                autocomplete="off"
            />
            <Choices
                label="Fee"
                hint={fee.problem ?? (fee.luna === undefined ? '…' : `${withUnit(fee.luna)}. A higher fee goes first when blocks are full.`)}
                value={draft.level}
                onChange={(level) => edit({ ...draft, level })}
                options={LEVELS}
            />
            {known && !known.live && (
                <Notice tone="warn" live="off">
                    The balance is what was last known; the network could not be asked yet.
                </Notice>
            )}
            <Button type="submit" kind="primary" wide>
                Continue
            </Button>
        </form>
    );
}

/** What a payment with this message costs. By the size of it, which neither recipient nor amount change. */
function useFee({ message, level }: Draft): Fee {
    const usable = messageProblem(message) === undefined ? message : 'x'.repeat(MAX_MESSAGE_BYTES);
    const [perByte, learn] = useState<Fee & { of?: string }>({});
    useEffect(() => {
        let left = false;
        // To an address that stands for any other.
        feeOf(payment(ANYONE, 1n, usable), 'standard').then(
            (luna) => !left && learn({ luna, of: usable }),
            (error: unknown) => !left && learn({ problem: inWords(error) }),
        );
        return () => {
            left = true;
        };
    }, [usable]);
    return useMemo(() => (perByte.luna === undefined ? perByte : { luna: perByte.luna * FEE_LEVELS[level] }), [perByte, level]);
}

const ANYONE = 'NQ07 0000 0000 0000 0000 0000 0000 0000 0000';
