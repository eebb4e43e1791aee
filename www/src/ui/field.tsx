// What one fills in: each with its label, a hint, and what is wrong with it, tied together for those who hear the page.

import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useId, useRef } from 'preact/hooks';

import { Icon } from './icon.js';

/** What is filled in. */
export type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

type Described = {
    label: string;
    /** What is expected, before anything is wrong. */
    hint?: ComponentChildren;
    /** What is wrong, in plain words. Announced when it comes up. */
    error?: string;
};

type FieldProps = Described & {
    value: string;
    onInput: (value: string) => void;
    /** When it is left: the time to say what is wrong with it. */
    onBlur?: () => void;
    type?: 'text' | 'password';
    /** That many rows of text, in place of one line. */
    rows?: number;
    /** A select, of these. */
    options?: readonly { value: string; text: string }[];
    mono?: boolean;
    placeholder?: string;
    autocomplete?: string;
    inputMode?: 'text' | 'decimal' | 'numeric';
    name?: string;
    required?: boolean;
    disabled?: boolean;
    readOnly?: boolean;
    maxLength?: number;
    /** Words and keys are no business of a spell checker: default false. */
    spellcheck?: boolean;
    /** Takes the focus when it comes up. */
    autofocus?: boolean;
    /** A unit or a button, within the input at its end. */
    end?: ComponentChildren;
    inputRef?: { current: Control | null };
};

/** A line of text, several (`rows`), or one of some options (`options`). */
export function Field({ label, hint, error, value, onInput, onBlur, rows, options, mono, end, inputRef, type = 'text', spellcheck = false, autofocus, ...rest }: FieldProps) {
    const id = useId();
    const control = useRef<Control | null>(null);
    const ref = useCallback(
        (element: Control | null) => {
            control.current = element;
            if (inputRef) inputRef.current = element;
        },
        [inputRef],
    );
    useEffect(() => {
        if (autofocus) control.current?.focus();
    }, []);
    const common = {
        ...rest,
        id,
        value,
        ref,
        class: mono ? 'input mono' : 'input',
        spellcheck,
        'aria-invalid': error ? ('true' as const) : undefined,
        'aria-describedby': [hint ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ') || undefined,
        onInput: (event: { currentTarget: { value: string } }) => onInput(event.currentTarget.value),
        onBlur,
    };
    return (
        <div class="field">
            <label for={id}>{label}</label>
            {hint && (
                <div class="hint" id={`${id}-hint`}>
                    {hint}
                </div>
            )}
            <div class="input-line">
                {options ? (
                    <select {...common}>
                        {options.map((option) => (
                            <option key={option.value} value={option.value}>
                                {option.text}
                            </option>
                        ))}
                    </select>
                ) : rows ? (
                    <textarea {...common} rows={rows} />
                ) : (
                    // The typings want to know which of the two.
                    <input {...common} type={type as 'text'} />
                )}
                {end && <div class="input-end">{end}</div>}
            </div>
            <Wrong id={`${id}-error`} error={error} />
        </div>
    );
}

/** One of a few, all in sight. */
export function Choices<T extends string>({
    label,
    hint,
    error,
    value,
    onChange,
    options,
    name,
}: Described & {
    value: T;
    onChange: (value: T) => void;
    options: readonly { value: T; text: string; hint?: string }[];
    name?: string;
}) {
    const id = useId();
    return (
        <fieldset class="choices" role="radiogroup" aria-describedby={[hint ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ') || undefined}>
            <legend>{label}</legend>
            {hint && (
                <div class="hint" id={`${id}-hint`}>
                    {hint}
                </div>
            )}
            <div class="options">
                {options.map((option) => (
                    <label key={option.value}>
                        <input type="radio" name={name ?? id} value={option.value} checked={option.value === value} onChange={() => onChange(option.value)} />
                        {option.text}
                        {option.hint && <span class="hint"> {option.hint}</span>}
                    </label>
                ))}
            </div>
            <Wrong id={`${id}-error`} error={error} />
        </fieldset>
    );
}

/** Something that is so or not. */
export function Check({ label, checked, onChange }: { label: ComponentChildren; checked: boolean; onChange: (checked: boolean) => void }) {
    return (
        <label class="check">
            <input type="checkbox" checked={checked} onChange={(event) => onChange(event.currentTarget.checked)} />
            <span>{label}</span>
        </label>
    );
}

/** The element is always there: what comes up in it later is announced. */
function Wrong({ id, error }: { id: string; error?: string }) {
    return (
        <div id={id} aria-live="polite" class={error ? 'error' : undefined}>
            {error && (
                <>
                    <Icon name="alert" />
                    <span>{error}</span>
                </>
            )}
        </div>
    );
}
