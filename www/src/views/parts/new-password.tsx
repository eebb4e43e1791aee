// A new password, twice, for the first key of a wallet or in place of an old one.

import { useState } from 'preact/hooks';

import { MIN_PASSWORD, passwordProblem } from '../../vault/vault.js';
import { Field } from '../../ui/field.js';

export type Passwords = { password: string; again: string };
export const noPasswords: Passwords = { password: '', again: '' };

/** What is wrong with them, as a sentence. */
export function passwordsProblem({ password, again }: Passwords): string | undefined {
    return passwordProblem(password) ?? (password === again ? undefined : 'The two passwords are not the same.');
}

export function NewPassword({ value, onChange, insist, autofocus, label = 'Password' }: { value: Passwords; onChange: (value: Passwords) => void; /** It was to be used as it is. */ insist: boolean; autofocus?: boolean; label?: string }) {
    const [left, leave] = useState({ first: false, second: false });
    const weak = passwordProblem(value.password);
    const differ = value.password !== value.again;
    return (
        <>
            <Field
                label={label}
                type="password"
                hint={`At least ${MIN_PASSWORD} characters; a few words are better. It encrypts the keys in this browser, and nobody can reset it.`}
                value={value.password}
                onInput={(password) => onChange({ ...value, password })}
                onBlur={() => leave((now) => ({ ...now, first: true }))}
                error={(insist || (left.first && value.password !== '')) && weak ? weak : undefined}
                autocomplete="new-password"
                autofocus={autofocus}
            />
            <Field
                label="Repeat password"
                type="password"
                value={value.again}
                onInput={(again) => onChange({ ...value, again })}
                onBlur={() => leave((now) => ({ ...now, second: true }))}
                error={(insist || (left.second && value.again !== '')) && differ ? 'The two passwords are not the same.' : undefined}
                autocomplete="new-password"
            />
        </>
    );
}
