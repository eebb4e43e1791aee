// The last step of making or importing accounts: their password, if the wallet has none yet, and keeping them.

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

import { inWords } from '../../lib/errors.js';
import { status, unavailable } from '../../vault/vault.js';
import { Button } from '../../ui/button.js';
import { Notice } from '../../ui/notice.js';
import { NewPassword, noPasswords, passwordsProblem } from './new-password.js';

/** A form that asks for a password if it takes one, and then calls `keep`, which rejects if it can't. */
export function Keep({ action, keep, disabled, children }: { /** What the button says. */ action: string; keep: (password: string | undefined) => Promise<void>; disabled?: boolean; children?: ComponentChildren }) {
    const [passwords, type] = useState(noPasswords);
    const [insist, press] = useState(false);
    const [busy, work] = useState(false);
    const [problem, tell] = useState<string>();
    // Kept while it is being done: with the first key the wallet has a password.
    const [first] = useState(status.peek() === 'empty');
    const submit = async (event: SubmitEvent) => {
        event.preventDefault();
        press(true);
        if (busy || disabled || (first && passwordsProblem(passwords) !== undefined)) return;
        work(true);
        tell(undefined);
        try {
            await keep(first ? passwords.password : undefined);
        } catch (error) {
            tell(inWords(error));
            work(false);
        }
    };
    if (unavailable.value !== undefined) return <Unavailable />;
    return (
        <form class="stack" onSubmit={(event) => void submit(event)}>
            {children}
            {first && <NewPassword value={passwords} onChange={type} insist={insist} />}
            {problem && <Notice tone="bad">{problem}</Notice>}
            <Button type="submit" kind="primary" wide busy={busy} disabled={disabled}>
                {action}
            </Button>
        </form>
    );
}

/** Why nothing can be kept in this browser, if so. */
export function Unavailable() {
    if (unavailable.value === undefined) return null;
    return (
        <Notice tone="bad" title="Nothing can be kept here">
            {unavailable.value}
        </Notice>
    );
}
