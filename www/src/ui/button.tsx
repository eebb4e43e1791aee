// Buttons, and links that look like them.

import type { ComponentChildren } from 'preact';

import { Icon, type IconName } from './icon.js';

type Common = {
    /** `primary` once a view, for what one came to do; `danger` for what can't be undone. Default `secondary`. */
    kind?: 'primary' | 'secondary' | 'quiet' | 'danger';
    icon?: IconName;
    small?: boolean;
    /** As wide as what it is in. */
    wide?: boolean;
    /** What is read aloud, where the text alone doesn't say it. It has to begin with the text, if there is any. */
    label?: string;
    class?: string;
    children?: ComponentChildren;
};

type ButtonProps = Common & {
    /** Default `button`: nothing is submitted by accident. */
    type?: 'button' | 'submit';
    onClick?: (event: MouseEvent) => void;
    disabled?: boolean;
    /** At work: it shows so, and can't be pressed again, but keeps the focus. */
    busy?: boolean;
    /** `aria-expanded` and the like, ids, data. */
    [attribute: `aria-${string}` | `data-${string}`]: unknown;
};

export function Button({ kind = 'secondary', type = 'button', icon, small, wide, label, busy, disabled, class: extra, onClick, children, ...rest }: ButtonProps) {
    const click = (event: MouseEvent) => {
        // A disabled button would lose the focus of whoever just pressed it.
        if (busy) event.preventDefault();
        else onClick?.(event);
    };
    return (
        <button
            {...rest}
            type={type}
            class={look(kind, small, wide, children, extra)}
            aria-label={label}
            aria-disabled={busy ? 'true' : undefined}
            aria-busy={busy ? 'true' : undefined}
            disabled={disabled}
            onClick={click}
        >
            {busy ? <span class="spinner" aria-hidden="true" /> : icon && <Icon name={icon} />}
            {children}
        </button>
    );
}

/** A link that looks like a button: it goes somewhere, and changes nothing. */
export function ButtonLink({ kind = 'secondary', href, icon, small, wide, label, class: extra, children }: Common & { href: string }) {
    return (
        <a class={look(kind, small, wide, children, extra)} href={href} aria-label={label}>
            {icon && <Icon name={icon} />}
            {children}
        </a>
    );
}

function look(kind: string, small?: boolean, wide?: boolean, children?: ComponentChildren, extra?: string): string {
    return ['button', kind, small && 'small', wide && 'wide', !children && 'icon-only', extra].filter(Boolean).join(' ');
}
