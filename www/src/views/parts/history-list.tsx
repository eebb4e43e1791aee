// The transactions of an account, as they come in and as they change.

import { useState } from 'preact/hooks';

import { inWords } from '../../lib/errors.js';
import { integer, moment } from '../../lib/format.js';
import { messageOf } from '../../lib/message.js';
import { client } from '../../state/connection.js';
import { historyOf, more, reload, type Row } from '../../state/history.js';
import { stakingText } from '../../state/staking.js';
import { Address } from '../../ui/address.js';
import { Amount } from '../../ui/amount.js';
import { Badge, type Tone } from '../../ui/badge.js';
import { Button } from '../../ui/button.js';
import { CopyButton } from '../../ui/copy-button.js';
import { Dialog } from '../../ui/dialog.js';
import { Icon } from '../../ui/icon.js';
import { Identicon } from '../../ui/identicon.js';
import { Notice } from '../../ui/notice.js';
import { Time } from '../../ui/time.js';
import { nameOf } from './own-account.js';

/** What the states are called. */
const STATES: Record<Row['state'], { tone: Tone; text: string; meaning: string }> = {
    pending: { tone: 'warn', text: 'Pending', meaning: 'It waits for a place in a block.' },
    included: { tone: 'calm', text: 'Included', meaning: 'It is in a block. With the next checkpoint it is final.' },
    finalized: { tone: 'good', text: 'Final', meaning: 'It can’t be reverted any more.' },
    expired: { tone: 'bad', text: 'Expired', meaning: 'It got into no block in time, and can’t any more. Nothing was paid.' },
    failed: { tone: 'bad', text: 'Failed', meaning: 'It is in a block, but could not do what it says. Only its fee was paid.' },
};
/** Where rewards for blocks come from. */
const COINBASE = 'NQ81 C01N BASE 0000 0000 0000 0000 0000 0000';

export function HistoryList({ address }: { address: string }) {
    const { rows, complete, loading, live, problem } = historyOf(address).value;
    const [shown, show] = useState<string>();
    const open = rows.find(({ hash }) => hash === shown);
    const reachable = client.value !== undefined;
    return (
        <section class="card stack" aria-label="History">
            <div class="row apart">
                <h2>History</h2>
                <span class="small soft" role="status">
                    {loading && reachable ? 'Asking the network…' : !live && rows.length > 0 ? 'As it was last known' : ''}
                </span>
            </div>
            {rows.length > 0 && (
                <ul class="rows history" data-testid="history">
                    {rows.map((row) => (
                        <li key={row.hash} data-hash={row.hash} data-state={row.state}>
                            <Item row={row} address={address} onOpen={() => show(row.hash)} />
                        </li>
                    ))}
                </ul>
            )}
            {rows.length === 0 && live && !loading && problem === undefined && (
                <div class="empty">
                    <Icon name="receive" />
                    <p>Nothing yet. Payments from and to this account appear here as they happen.</p>
                </div>
            )}
            {rows.length === 0 && !live && problem === undefined && <span class="skeleton line-skeleton" />}
            {problem !== undefined && (
                <Notice
                    tone="warn"
                    actions={
                        <Button small onClick={() => reload(address)}>
                            Try again
                        </Button>
                    }
                >
                    {inWords(problem)}
                </Notice>
            )}
            {live && !complete && problem === undefined && (
                <p class="center">
                    <Button kind="quiet" small busy={loading} onClick={() => more(address)}>
                        Show more
                    </Button>
                </p>
            )}
            {open && <Details row={open} address={address} onClose={() => show(undefined)} />}
        </section>
    );
}

/** Who is on the other side of it. */
const otherOf = ({ sender, recipient }: Row, address: string): string => (sender === address ? recipient : sender);

/** What changes hands, from the account's side. */
function change(row: Row, address: string): bigint {
    if (row.state === 'failed' && row.sender === address) return -row.fee;
    if (row.sender === address && row.recipient === address) return -row.fee;
    return row.sender === address ? -(row.value + row.fee) : row.value;
}

function Item({ row, address, onOpen }: { row: Row; address: string; onOpen: () => void }) {
    const other = otherOf(row, address);
    const out = row.sender === address;
    const staking = stakingText(row);
    const name = staking ?? (other === COINBASE ? 'Reward' : nameOf(other));
    const message = staking === undefined ? messageOf(row.data) : undefined;
    const { tone, text } = STATES[row.state];
    const gone = row.state === 'expired' || row.state === 'failed';
    return (
        <button class="history-row" type="button" onClick={onOpen}>
            <span class="history-face">
                <Identicon address={other} size={2.5} />
                <Icon name={out ? 'send' : 'receive'} class="history-way" />
            </span>
            <span class="history-text">
                <span class="history-name">
                    <span class="unseen">{out ? 'To ' : 'From '}</span>
                    {name ?? <Address address={other} look="short" />}
                </span>
                {message !== undefined && <span class="history-message">{message}</span>}
                <span class="small soft">{row.timestamp === undefined ? 'Not in a block yet' : <Time at={row.timestamp} />}</span>
            </span>
            <span class="history-end">
                <Amount luna={change(row, address)} sign class={gone ? 'struck' : out ? '' : 'gain'} />
                {row.state === 'finalized' ? <span class="unseen">{text}</span> : <Badge tone={tone}>{text}</Badge>}
            </span>
        </button>
    );
}

/** All there is to know of one. */
function Details({ row, address, onClose }: { row: Row; address: string; onClose: () => void }) {
    const { tone, text, meaning } = STATES[row.state];
    const staking = stakingText(row);
    const message = staking === undefined ? messageOf(row.data) : undefined;
    const out = row.sender === address;
    return (
        <Dialog open onClose={onClose} title={staking ?? (out ? 'Payment sent' : 'Payment received')}>
            <p class="total">
                <Amount luna={row.value} />
            </p>
            <p class="row">
                <Badge tone={tone}>{text}</Badge>
                <span class="small soft">{meaning}</span>
            </p>
            <dl class="facts">
                <Party title="From" address={row.sender} />
                <Party title="To" address={row.recipient} />
                {message !== undefined && (
                    <div>
                        <dt>Message</dt>
                        <dd class="history-message-whole">{message}</dd>
                    </div>
                )}
                {message === undefined && staking === undefined && row.data !== '' && (
                    <div>
                        <dt>Data</dt>
                        <dd class="mono wrap">{row.data}</dd>
                    </div>
                )}
                <div>
                    <dt>Fee</dt>
                    <dd>
                        <Amount luna={row.fee} />
                    </dd>
                </div>
                {row.blockNumber !== undefined && (
                    <div>
                        <dt>Block</dt>
                        <dd class="numeric">
                            {integer(row.blockNumber)}
                            {row.timestamp !== undefined && `, ${moment(row.timestamp)}`}
                        </dd>
                    </div>
                )}
                <div>
                    <dt>Transaction</dt>
                    <dd class="stack tight">
                        <span class="mono wrap">{row.hash}</span>
                        <span>
                            <CopyButton text={row.hash} label="Copy hash" />
                        </span>
                    </dd>
                </div>
            </dl>
        </Dialog>
    );
}

export function Party({ title, address }: { title: string; address: string }) {
    const name = nameOf(address);
    return (
        <div>
            <dt>{title}</dt>
            <dd class="party">
                <Identicon address={address} size={2.5} />
                <span>
                    {name && <b class="account-name">{name}</b>}
                    <Address address={address} />
                </span>
            </dd>
        </div>
    );
}
