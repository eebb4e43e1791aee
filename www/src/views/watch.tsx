// An address to be watched, without its key.

import { useState } from 'preact/hooks';

import { go, inPath } from '../app/router.js';
import { isAddress, tidyAddress } from '../lib/address.js';
import { inWords } from '../lib/errors.js';
import { wallet } from '../lib/wallet.js';
import { accountRecords, add } from '../vault/vault.js';
import { Button } from '../ui/button.js';
import { Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';
import { Page } from '../ui/page.js';
import { AddressField } from './parts/address-field.js';
import { Unavailable } from './parts/keep.js';
import { nextLabel } from './parts/own-account.js';

/** `address`: what was asked for by a link. */
export function Watch({ address: asked = '' }: { address?: string }) {
    const [address, type] = useState(asked);
    const [label, name] = useState('');
    const [insist, press] = useState(false);
    const [problem, tell] = useState<string>();
    const known = accountRecords.value.some((one) => one.address === address);
    const submit = async (event: SubmitEvent) => {
        event.preventDefault();
        press(true);
        if (!isAddress(address, wallet.peek()) || known) return;
        try {
            const tidy = tidyAddress(address);
            await add([], [{ address: tidy, label: label.trim() || nextLabel(), kind: 'watch', createdAt: Date.now() }]);
            go(`/account/${inPath(tidy)}`, { replace: true });
        } catch (error) {
            tell(inWords(error));
        }
    };
    return (
        <Page title="Watch an address" back={{ to: '/', text: 'Wallet' }}>
            <Unavailable />
            <form class="card stack" onSubmit={(event) => void submit(event)}>
                <p>You see its balance and its payments, each proven, and can’t pay from it.</p>
                <AddressField label="Address" value={address} onInput={type} insist={insist} problem={known ? 'This account is in your wallet already.' : undefined} autofocus />
                <Field label="Name" hint="Only for you, in this browser. Can be left empty." value={label} onInput={name} maxLength={40} autocomplete="off" />
                {problem && <Notice tone="bad">{problem}</Notice>}
                <Button type="submit" kind="primary" icon="eye">
                    Watch address
                </Button>
            </form>
        </Page>
    );
}
