// A dialog over the page: the browser's own, which keeps the focus in and gives it back.

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

import { Button } from './button.js';

export function Dialog({
    open,
    onClose,
    title,
    children,
    actions,
    dismissible = true,
}: {
    open: boolean;
    /** It was closed by Escape, by the cross, or by a press beside it. */
    onClose: () => void;
    title: string;
    children?: ComponentChildren;
    /** Buttons at the end. */
    actions?: ComponentChildren;
    /** Default true; where false, only the actions close it. */
    dismissible?: boolean;
}) {
    const id = useId();
    const ref = useRef<HTMLDialogElement>(null);
    useEffect(() => {
        const dialog = ref.current;
        if (!open || !dialog) return;
        const before = document.activeElement;
        dialog.showModal();
        return () => {
            dialog.close();
            // The dialog has left the page by now, and with it the focus: too late for the browser to give it back.
            if (before instanceof HTMLElement && document.activeElement === document.body) before.focus({ preventScroll: true });
        };
    }, [open]);
    if (!open) return null;
    return (
        <dialog
            ref={ref}
            class="dialog"
            aria-labelledby={id}
            onCancel={(event) => {
                // Whether it is open is for whoever shows it to say.
                event.preventDefault();
                if (dismissible) onClose();
            }}
            onClick={(event) => {
                if (dismissible && event.target === ref.current) onClose();
            }}
        >
            <div class="dialog-body">
                <div class="dialog-head">
                    <h2 id={id}>{title}</h2>
                    {dismissible && <Button kind="quiet" icon="cross" label="Close" onClick={onClose} />}
                </div>
                {children}
                {actions && <div class="actions">{actions}</div>}
            </div>
        </dialog>
    );
}
