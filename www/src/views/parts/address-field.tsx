// A field for an address: its face appears once it is right, and what is wrong with it is said as soon as that is certain.

import { useEffect, useState } from 'preact/hooks';

import { addressProblem, isAddress, tidyAddress } from '../../lib/address.js';
import { loadWallet, wallet } from '../../lib/wallet.js';
import { Field } from '../../ui/field.js';
import { Identicon } from '../../ui/identicon.js';

export function AddressField({
    label,
    hint,
    value,
    onInput,
    problem,
    insist = false,
    autofocus,
}: {
    label: string;
    hint?: string;
    value: string;
    onInput: (address: string) => void;
    /** What is wrong with it beyond its form. */
    problem?: string;
    /** It was to be used as it is: now all that is wrong has to be said. */
    insist?: boolean;
    autofocus?: boolean;
}) {
    const [left, leave] = useState(false);
    useEffect(() => {
        // Without it only the check digits remain unchecked, until it is there.
        loadWallet().catch((error: unknown) => console.warn('addresses can’t be checked yet:', error));
    }, []);
    const wrong = addressProblem(value, wallet.value, insist || (left && value !== ''));
    const right = isAddress(value, wallet.value);
    return (
        <Field
            label={label}
            hint={hint}
            error={wrong ?? (right ? problem : undefined)}
            value={value}
            // It is grouped when it is all there: before, that would move the cursor.
            onInput={(typed) => onInput(isAddress(typed, wallet.peek()) ? tidyAddress(typed) : typed)}
            onBlur={() => leave(true)}
            mono
            autocomplete="off"
            autofocus={autofocus}
            maxLength={80}
            placeholder="NQ…"
            end={right && <Identicon address={value} size={2.2} />}
        />
    );
}
