// Settings: the lock, the accounts with their names and secrets, and the page itself.

import { useEffect, useState } from 'preact/hooks';

import { inWords } from '../lib/errors.js';
import { InstallButton } from '../app/install.js';
import { IDLE_CHOICES, idleMinutes, setIdleMinutes } from '../vault/auto-lock.js';
import { isPersistent, persist } from '../vault/store.js';
import { accountRecords, changePassword, lock, status } from '../vault/vault.js';
import { Button } from '../ui/button.js';
import { Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';
import { Page } from '../ui/page.js';
import { AccountSettings } from './parts/account-settings.js';
import { NewPassword, noPasswords, passwordsProblem } from './parts/new-password.js';

export function Settings() {
    const accounts = accountRecords.value;
    const secured = status.value === 'unlocked';
    return (
        <Page title="Settings">
            {secured && <LockSettings />}
            {accounts.length > 0 && (
                <section class="card stack" aria-labelledby="settings-accounts">
                    <h2 id="settings-accounts">Accounts</h2>
                    <ul class="rows">
                        {accounts.map((account) => (
                            <li key={account.address}>
                                <AccountSettings account={account} />
                            </li>
                        ))}
                    </ul>
                </section>
            )}
            {secured && <PasswordSettings />}
            <section class="card stack" aria-labelledby="settings-page">
                <h2 id="settings-page">This browser</h2>
                <Persistence />
                <InstallButton />
                <p class="soft small">No server knows your accounts: the page asks the network itself. Nothing is sent to anybody else.</p>
            </section>
        </Page>
    );
}

function LockSettings() {
    const [problem, tell] = useState<string>();
    const choose = (minutes: string) => {
        tell(undefined);
        setIdleMinutes(Number(minutes)).catch((error: unknown) => tell(inWords(error)));
    };
    return (
        <section class="card stack" aria-labelledby="settings-lock">
            <h2 id="settings-lock">Lock</h2>
            <Field
                label="Lock by itself after"
                hint="Without a key pressed or a pointer moved. A hidden page is locked after 5 minutes at most."
                value={String(idleMinutes.value)}
                onInput={choose}
                options={IDLE_CHOICES.map((minutes) => ({ value: String(minutes), text: minutes === 1 ? '1 minute' : `${minutes} minutes` }))}
            />
            {problem && <Notice tone="warn">{problem}</Notice>}
            <Button icon="lock" onClick={() => lock()}>
                Lock
            </Button>
        </section>
    );
}

function PasswordSettings() {
    const [old, type] = useState('');
    const [passwords, choose] = useState(noPasswords);
    const [insist, press] = useState(false);
    const [busy, work] = useState(false);
    const [told, tell] = useState<{ tone: 'good' | 'bad'; text: string }>();
    const submit = async (event: SubmitEvent) => {
        event.preventDefault();
        press(true);
        if (busy || old === '' || passwordsProblem(passwords) !== undefined) return;
        work(true);
        tell(undefined);
        try {
            await changePassword(old, passwords.password);
            type('');
            choose(noPasswords);
            press(false);
            tell({ tone: 'good', text: 'The password is changed. Other tabs have to be unlocked with the new one.' });
        } catch (error) {
            tell({ tone: 'bad', text: inWords(error) });
        } finally {
            work(false);
        }
    };
    return (
        <section class="card stack" aria-labelledby="settings-password">
            <h2 id="settings-password">Change password</h2>
            <form class="stack" onSubmit={(event) => void submit(event)}>
                <Field label="Current password" type="password" value={old} onInput={type} error={insist && old === '' ? 'Enter your current password.' : undefined} autocomplete="current-password" />
                <NewPassword label="New password" value={passwords} onChange={choose} insist={insist} />
                {told && <Notice tone={told.tone}>{told.text}</Notice>}
                <Button type="submit" busy={busy}>
                    Change password
                </Button>
            </form>
        </section>
    );
}

/** Whether the browser may throw away what is kept here when it runs out of room. */
function Persistence() {
    const [kept, know] = useState<boolean>();
    const [asked, ask] = useState(false);
    useEffect(() => {
        isPersistent().then(know, (error: unknown) => console.info('whether storage is persistent can’t be told:', error));
    }, []);
    if (kept === undefined) return null;
    if (kept) return <p>This browser keeps your wallet until you remove it.</p>;
    return (
        <div class="stack tight">
            <p>This browser may remove your wallet when it runs out of room. Have your words at hand in any case.</p>
            {asked ? (
                <p class="soft small">The browser has not agreed. Installing this page, or bookmarking it, may change its mind.</p>
            ) : (
                <Button
                    small
                    onClick={() => {
                        ask(true);
                        persist().then(know, (error: unknown) => console.info('storage can’t be made persistent:', error));
                    }}
                >
                    Ask it to keep it
                </Button>
            )}
        </div>
    );
}
