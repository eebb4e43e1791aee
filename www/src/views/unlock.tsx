// The password, before anything of the wallet is shown.

import { useState } from 'preact/hooks';

import { inWords } from '../lib/errors.js';
import { erase, unlock } from '../vault/vault.js';
import { forgetCached } from '../vault/store.js';
import { Button } from '../ui/button.js';
import { Check, Field } from '../ui/field.js';
import { Dialog } from '../ui/dialog.js';
import { Page } from '../ui/page.js';
import { Notice } from '../ui/notice.js';

export function Unlock() {
    const [password, type] = useState('');
    const [busy, work] = useState(false);
    const [problem, tell] = useState<string>();
    const [lost, lose] = useState(false);
    const submit = async (event: SubmitEvent) => {
        event.preventDefault();
        if (busy) return;
        if (password === '') return tell('Enter your password.');
        work(true);
        tell(undefined);
        try {
            await unlock(password);
        } catch (error) {
            tell(inWords(error));
            work(false);
        }
    };
    return (
        <Page title="Welcome back">
            <form class="card stack" onSubmit={(event) => void submit(event)}>
                <p>Your wallet is locked. Its keys are encrypted with your password, in this browser only.</p>
                <Field
                    label="Password"
                    type="password"
                    value={password}
                    onInput={(typed) => {
                        type(typed);
                        tell(undefined);
                    }}
                    error={problem}
                    autocomplete="current-password"
                    autofocus
                />
                <Button type="submit" kind="primary" wide icon="unlock" busy={busy}>
                    Unlock
                </Button>
                <p class="center">
                    <Button kind="quiet" small onClick={() => lose(true)}>
                        I forgot my password
                    </Button>
                </p>
            </form>
            {lost && <Lost onClose={() => lose(false)} />}
        </Page>
    );
}

function Lost({ onClose }: { onClose: () => void }) {
    const [sure, swear] = useState(false);
    const [problem, tell] = useState<string>();
    const begin = async () => {
        try {
            await erase();
            await forgetCached(() => true);
        } catch (error) {
            tell(inWords(error));
        }
    };
    return (
        <Dialog
            open
            onClose={onClose}
            title="Begin anew"
            actions={
                <>
                    <Button onClick={onClose}>Keep it</Button>
                    <Button kind="danger" icon="trash" disabled={!sure} onClick={() => void begin()}>
                        Forget everything
                    </Button>
                </>
            }
        >
            <p>Nobody can reset the password: without it, the keys in this browser stay encrypted for good.</p>
            <p>If you have the words or keys of your accounts, you can forget what is stored here, and import them again. Without them, the money in these accounts is lost.</p>
            <Check label="I have my words or keys, or need none of these accounts" checked={sure} onChange={swear} />
            {problem && <Notice tone="bad">{problem}</Notice>}
        </Dialog>
    );
}
