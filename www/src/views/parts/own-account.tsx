// What the views of one account share: that it is one of this wallet, and how it is shown in a line.

import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';

import { inPath } from '../../app/router.js';
import { addressProblem } from '../../lib/address.js';
import { loadWallet, wallet } from '../../lib/wallet.js';
import { accountRecords, lock, status } from '../../vault/vault.js';
import type { AccountRecord } from '../../vault/store.js';
import { Address } from '../../ui/address.js';
import { Button, ButtonLink } from '../../ui/button.js';
import { Identicon } from '../../ui/identicon.js';
import { Page } from '../../ui/page.js';
import { NotFound } from '../not-found.js';

/** Shows `children` with the account at an address, or why there is none. `signing`: only for one that has its key here. */
export function OwnAccount({ address, signing = false, children }: { address: string; signing?: boolean; children: (account: AccountRecord) => ComponentChildren }) {
    const account = accountRecords.value.find((one) => one.address === address);
    const missing = !account;
    useEffect(() => {
        if (missing) loadWallet().catch((error: unknown) => console.warn('addresses can’t be checked yet:', error));
    }, [missing]);
    if (account && signing && account.kind === 'watch') {
        return (
            <Page title={account.label} back={{ to: `/account/${inPath(address)}`, text: 'Account' }}>
                <div class="card stack">
                    <p>This account is only watched. To pay from it, import its words or its key.</p>
                    <ButtonLink kind="primary" href="#/import">
                        Import account
                    </ButtonLink>
                </div>
            </Page>
        );
    }
    if (account) return <>{children(account)}</>;
    if (addressProblem(address, wallet.value, true) !== undefined) return <NotFound />;
    return (
        <Page title="Not in this wallet" back={{ to: '/', text: 'Wallet' }}>
            <div class="card stack">
                <div class="row">
                    <Identicon address={address} size={4} />
                    <Address address={address} />
                </div>
                <p>This address is not one of your accounts in this browser. You can watch it without its key.</p>
                <ButtonLink kind="primary" href={`#/watch/${inPath(address)}`}>
                    Watch address
                </ButtonLink>
            </div>
        </Page>
    );
}

/** Face, name and address in a line. */
export function AccountLine({ address, label, size = 2.75 }: { address: string; label?: string; size?: number }) {
    return (
        <span class="account-line">
            <Identicon address={address} size={size} />
            <span class="account-line-text">
                {label && <b class="account-name">{label}</b>}
                <Address address={address} look="short" />
            </span>
        </span>
    );
}

/** Locks the wallet, where there is something to lock. */
export function LockButton() {
    if (status.value !== 'unlocked') return null;
    return (
        <Button kind="quiet" small icon="lock" onClick={() => lock()}>
            Lock
        </Button>
    );
}

/** The name of one of the wallet's accounts. */
export function nameOf(address: string): string | undefined {
    return accountRecords.value.find((one) => one.address === address)?.label;
}

/** What the next account is called, if nobody says otherwise. */
export function nextLabel(ahead = 1): string {
    const taken = new Set(accountRecords.peek().map(({ label }) => label));
    let number = accountRecords.peek().length + ahead;
    while (taken.has(`Account ${number}`)) number += 1;
    return `Account ${number}`;
}
