// One account: what it has, what can be done with it, and what happened to it.

import { useEffect, useState } from 'preact/hooks';

import { inPath } from '../app/router.js';
import { inWords } from '../lib/errors.js';
import { integer, moment } from '../lib/format.js';
import { balanceProblem, balances, stakeOf } from '../state/accounts.js';
import { getTestNim, hasFaucet } from '../state/faucet.js';
import { openHistory, pendingOut } from '../state/history.js';
import type { AccountRecord } from '../vault/store.js';
import { Address } from '../ui/address.js';
import { Amount } from '../ui/amount.js';
import { Badge } from '../ui/badge.js';
import { Button, ButtonLink } from '../ui/button.js';
import { Identicon } from '../ui/identicon.js';
import { Notice } from '../ui/notice.js';
import { Page } from '../ui/page.js';
import { HistoryList } from './parts/history-list.js';
import { LockButton, OwnAccount } from './parts/own-account.js';

export function AccountView({ address }: { address: string }) {
    return <OwnAccount address={address}>{(account) => <Account account={account} />}</OwnAccount>;
}

function Account({ account: { address, label, kind } }: { account: AccountRecord }) {
    useEffect(() => openHistory(address), [address]);
    const path = inPath(address);
    return (
        <Page title={label} back={{ to: '/', text: 'Wallet' }} actions={<LockButton />}>
            <section class="card navy stack" aria-label="Account">
                <div class="account-head">
                    <Identicon address={address} size={5} />
                    <Address address={address} copy />
                </div>
                <Balance address={address} />
                <nav class="actions account-actions" aria-label="Actions">
                    {kind === 'key' && (
                        <ButtonLink kind="primary" icon="send" href={`#/account/${path}/send`}>
                            Send
                        </ButtonLink>
                    )}
                    <ButtonLink kind={kind === 'key' ? 'secondary' : 'primary'} icon="receive" href={`#/account/${path}/receive`}>
                        Receive
                    </ButtonLink>
                    {kind === 'key' && (
                        <ButtonLink icon="stake" href={`#/account/${path}/stake`}>
                            Stake
                        </ButtonLink>
                    )}
                </nav>
            </section>
            {kind === 'watch' && (
                <Notice icon="eye" live="off">
                    This account is only watched: its key is not in this wallet.
                </Notice>
            )}
            {hasFaucet.value && <Faucet address={address} />}
            <HistoryList address={address} />
        </Page>
    );
}

function Balance({ address }: { address: string }) {
    const known = balances.value.get(address);
    const out = pendingOut(address).value;
    const staked = stakeOf(known?.staker);
    const problem = balanceProblem.value;
    return (
        <div class="stack tight">
            <p class="label">Balance</p>
            <p class="total">{known ? <Amount luna={known.balance} data-testid="balance" /> : <span class="skeleton total-skeleton" />}</p>
            <p class="row small">
                {!known ? (
                    <span class="soft">Asking the network…</span>
                ) : !known.live ? (
                    <>
                        <Badge icon="clock">Last known</Badge>
                        <span class="soft">
                            at block {integer(known.blockNumber)}, {moment(known.at)}
                        </span>
                    </>
                ) : (
                    <>
                        {known.trust === 'verified' ? (
                            <Badge tone="good" icon="shield" title="Proven against a chain that is itself proven from a trusted block.">
                                Verified
                            </Badge>
                        ) : (
                            <Badge tone="warn" icon="clock" title="Proven against the chain that peers agree on, which is still being verified.">
                                Not yet verified
                            </Badge>
                        )}
                        <span class="soft numeric">at block {integer(known.blockNumber)}</span>
                    </>
                )}
            </p>
            {out > 0n && known && (
                <p class="small">
                    <span class="soft">On its way out:</span> <Amount luna={out} />
                </p>
            )}
            {staked > 0n && (
                <p class="small">
                    <span class="soft">Staked:</span> <Amount luna={staked} />
                </p>
            )}
            {known && known.type !== 'basic' && <p class="small soft">This address is a contract: {CONTRACTS[known.type]}.</p>}
            {problem !== undefined && <p class="small soft">The balance could not be asked for: {inWords(problem)} It is tried again with the next block.</p>}
        </div>
    );
}

const CONTRACTS = { vesting: 'its money is released step by step', htlc: 'its money waits for a secret or for a time', staking: 'it holds the stakes of all stakers' } as const;

/** Test money, where there is some. */
function Faucet({ address }: { address: string }) {
    const [busy, work] = useState(false);
    const [told, tell] = useState<{ tone: 'good' | 'bad'; text: string }>();
    const ask = async () => {
        work(true);
        tell(undefined);
        try {
            await getTestNim(address);
            tell({ tone: 'good', text: 'Test NIM are on their way. You see them below as they arrive.' });
        } catch (error) {
            tell({ tone: 'bad', text: inWords(error) });
        } finally {
            work(false);
        }
    };
    return (
        <div class="stack tight">
            <div class="row">
                <Button icon="faucet" busy={busy} onClick={() => void ask()}>
                    Get test NIM
                </Button>
                <span class="soft small">This is a devnet: its money is worth nothing.</span>
            </div>
            {told && <Notice tone={told.tone}>{told.text}</Notice>}
        </div>
    );
}
