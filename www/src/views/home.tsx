// The accounts of this wallet; and for who has none yet, the ways to one.

import '../style/wallet.css';

import { inPath } from '../app/router.js';
import { integer } from '../lib/format.js';
import { balances, stakeOf } from '../state/accounts.js';
import { accountRecords } from '../vault/vault.js';
import { Amount } from '../ui/amount.js';
import { Badge } from '../ui/badge.js';
import { ButtonLink } from '../ui/button.js';
import { Page } from '../ui/page.js';
import { Unavailable } from './parts/keep.js';
import { AccountLine, LockButton } from './parts/own-account.js';

export function Home() {
    const accounts = accountRecords.value;
    if (!accounts.length) return <Welcome />;
    const known = accounts.map(({ address }) => balances.value.get(address));
    const total = known.reduce((sum, one) => sum + (one ? one.balance + stakeOf(one.staker) : 0n), 0n);
    const complete = known.every((one) => one !== undefined);
    return (
        <Page title="Wallet" actions={<LockButton />}>
            <section class="card navy stack tight" aria-label="Total">
                <p class="label">In all accounts, with what is staked</p>
                <p class="total">{complete ? <Amount luna={total} /> : <span class="skeleton total-skeleton" />}</p>
            </section>
            <section class="card" aria-label="Accounts">
                <ul class="rows">
                    {accounts.map(({ address, label, kind }, i) => {
                        const one = known[i];
                        const staked = stakeOf(one?.staker);
                        return (
                            <li key={address}>
                                <a class="account-row" href={`#/account/${inPath(address)}`}>
                                    <AccountLine address={address} label={label} />
                                    <span class="account-row-end">
                                        {one ? <Amount luna={one.balance} /> : <span class="skeleton amount-skeleton" />}
                                        <span class="row tags">
                                            {kind === 'watch' && <Badge>watched</Badge>}
                                            {staked > 0n && (
                                                <Badge tone="calm" icon="stake">
                                                    <Amount luna={staked} /> staked
                                                </Badge>
                                            )}
                                            {one && !one.live && <Badge>as of block {integer(one.blockNumber)}</Badge>}
                                        </span>
                                    </span>
                                </a>
                            </li>
                        );
                    })}
                </ul>
            </section>
            <nav class="actions" aria-label="More accounts">
                <ButtonLink href="#/create" icon="plus">
                    Create account
                </ButtonLink>
                <ButtonLink href="#/import" icon="key">
                    Import account
                </ButtonLink>
                <ButtonLink href="#/watch" icon="eye">
                    Watch address
                </ButtonLink>
            </nav>
        </Page>
    );
}

function Welcome() {
    return (
        <Page title="Your Nimiq wallet">
            <Unavailable />
            <section class="card navy stack">
                <p class="pitch">A wallet that asks no server what you own. This page is a light client: it speaks to the Nimiq network itself, and checks what it is told.</p>
                <ul class="points">
                    <li>Keys are made here, encrypted with your password, and never leave this browser.</li>
                    <li>Every balance and every payment is proven against the chain before it is shown.</li>
                    <li>Peers that lie are found out and left behind. See it on the page “Network”.</li>
                </ul>
            </section>
            <nav class="stack" aria-label="First account">
                <ButtonLink kind="primary" wide href="#/create" icon="plus">
                    Create account
                </ButtonLink>
                <ButtonLink wide href="#/import" icon="key">
                    Import account
                </ButtonLink>
                <ButtonLink wide href="#/watch" icon="eye">
                    Watch address
                </ButtonLink>
            </nav>
        </Page>
    );
}
