// Accounts that exist already: from their words, of which several accounts may come, or from a private key.

import { useEffect, useState } from 'preact/hooks';

import { go, inPath } from '../app/router.js';
import { inWords } from '../lib/errors.js';
import { loadWallet, type Mnemonic } from '../lib/wallet.js';
import { client } from '../state/connection.js';
import { accountPath, addressAt, keepDerived, keepKey } from '../vault/derive.js';
import { accountRecords } from '../vault/vault.js';
import { Amount } from '../ui/amount.js';
import { Badge } from '../ui/badge.js';
import { Button } from '../ui/button.js';
import { Check, Choices, Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';
import { Page } from '../ui/page.js';
import { Keep, Unavailable } from './parts/keep.js';
import { AccountLine, nextLabel } from './parts/own-account.js';
import { StepHeading } from './parts/step-heading.js';

/** How many accounts of a mnemonic are shown at a time. */
const BATCH = 5;

type What = 'words' | 'key';
/** What was read. */
type Found = { kind: 'words'; mnemonic: Mnemonic } | { kind: 'key'; key: Uint8Array; address: string };

export function Import() {
    const [what, choose] = useState<What>('words');
    const [typed, type] = useState('');
    const [found, find] = useState<Found>();
    const [problem, tell] = useState<string>();
    useEffect(() => () => wipe(found), [found]);

    const read = async (event: SubmitEvent) => {
        event.preventDefault();
        try {
            find(await parse(what, typed));
            type('');
        } catch (error) {
            tell(inWords(error));
        }
    };
    return (
        <Page title="Import an account" back={{ to: '/', text: 'Wallet' }}>
            <Unavailable />
            <div class="card stack">
                {!found ? (
                    <form class="stack" onSubmit={(event) => void read(event)} autocomplete="off">
                        <Choices
                            label="What you have"
                            value={what}
                            onChange={(next) => {
                                choose(next);
                                type('');
                                tell(undefined);
                            }}
                            options={[
                                { value: 'words', text: 'Words' },
                                { value: 'key', text: 'Private key' },
                            ]}
                        />
                        <Field
                            key={what}
                            label={what === 'words' ? 'Your words' : 'Your private key'}
                            hint={what === 'words' ? '12, 15, 18, 21 or 24, in their order. They are read in this page, and sent nowhere.' : '64 hexadecimal digits. It is read in this page, and sent nowhere.'}
                            rows={what === 'words' ? 4 : undefined}
                            type={what === 'key' ? 'password' : undefined}
                            mono
                            value={typed}
                            onInput={(text) => {
                                type(text);
                                tell(undefined);
                            }}
                            error={problem}
                            autocomplete="off"
                            autofocus
                        />
                        <Button type="submit" kind="primary" wide>
                            Continue
                        </Button>
                    </form>
                ) : found.kind === 'words' ? (
                    <Derived mnemonic={found.mnemonic} />
                ) : (
                    <Keep
                        action="Import account"
                        keep={async (password) => {
                            const address = await keepKey(found.key, nextLabel(), password);
                            go(`/account/${inPath(address)}`, { replace: true });
                        }}
                    >
                        <StepHeading>Your account</StepHeading>
                        <AccountLine address={found.address} />
                    </Keep>
                )}
            </div>
        </Page>
    );
}

/** The accounts of some words, to be picked. */
function Derived({ mnemonic }: { mnemonic: Mnemonic }) {
    const [wanted, want] = useState(BATCH);
    const [addresses, show] = useState<string[]>([]);
    const [picked, pick] = useState<ReadonlySet<number>>(new Set([0]));
    const [amounts, learn] = useState<ReadonlyMap<string, bigint>>(new Map());
    const [problem, tell] = useState<string>();
    const known = new Set(accountRecords.value.map(({ address }) => address));

    useEffect(() => {
        let left = false;
        const derive = async () => {
            for (let i = addresses.length; i < wanted && !left; i += 1) {
                const address = await addressAt(mnemonic, accountPath(i));
                if (left) return;
                show((now) => [...now, address]);
                // Each takes a while: the page is drawn in between.
                await new Promise((resolve) => requestAnimationFrame(resolve));
            }
        };
        derive().catch((error: unknown) => !left && tell(inWords(error)));
        return () => {
            left = true;
        };
    }, [wanted]);

    // What is in them helps to pick, and is no condition for it.
    const asked = client.value;
    const complete = addresses.length >= wanted;
    useEffect(() => {
        if (!asked || !complete) return;
        const end = new AbortController();
        const ask = async () => {
            await asked.ready({ signal: end.signal });
            const accounts = await asked.getAccounts(addresses);
            if (!end.signal.aborted) learn(new Map(accounts.map(({ address, balance }) => [address, balance])));
        };
        ask().catch((error: unknown) => !end.signal.aborted && console.info('what is in these accounts can’t be told:', inWords(error)));
        return () => end.abort();
    }, [asked, complete, wanted]);

    const keep = async (password: string | undefined) => {
        const paths = addresses.flatMap((address, i) => (picked.has(i) && !known.has(address) ? [accountPath(i)] : []));
        const kept = await keepDerived(
            mnemonic,
            paths.map((path, i) => ({ path, label: nextLabel(i + 1) })),
            password,
        );
        go(kept.length === 1 ? `/account/${inPath(kept[0])}` : '/', { replace: true });
    };
    const news = addresses.filter((address, i) => picked.has(i) && !known.has(address)).length;
    return (
        <Keep action={news > 1 ? `Import ${news} accounts` : 'Import account'} keep={keep} disabled={news === 0}>
            <StepHeading>Your accounts</StepHeading>
            <p>These belong to your words. Pick those that you want here; others can be added later.</p>
            <ul class="rows picks">
                {addresses.map((address, i) => {
                    const amount = amounts.get(address);
                    return (
                        <li key={address}>
                            <div class="row apart">
                                <Check
                                    label={<AccountLine address={address} size={2.25} />}
                                    checked={picked.has(i)}
                                    onChange={(checked) => pick((now) => new Set(checked ? [...now, i] : [...now].filter((one) => one !== i)))}
                                />
                                {known.has(address) ? <Badge>in your wallet</Badge> : amount !== undefined && <Amount luna={amount} />}
                            </div>
                        </li>
                    );
                })}
                {!complete && !problem && (
                    <li>
                        <span class="skeleton line-skeleton" />
                    </li>
                )}
            </ul>
            {problem && <Notice tone="bad">{problem}</Notice>}
            <p class="center">
                <Button kind="quiet" small disabled={!complete} onClick={() => want(addresses.length + BATCH)}>
                    Show more
                </Button>
            </p>
        </Keep>
    );
}

async function parse(what: What, typed: string): Promise<Found> {
    const { KeyPair, Mnemonic } = await loadWallet();
    if (what === 'words') return { kind: 'words', mnemonic: Mnemonic.parse(typed) };
    const pair = KeyPair.fromPrivateKey(typed.trim().toLowerCase());
    try {
        return { kind: 'key', key: pair.privateKey(), address: pair.address };
    } finally {
        pair.free();
    }
}

function wipe(found: Found | undefined): void {
    if (found?.kind === 'words') found.mnemonic.free();
    else found?.key.fill(0);
}
