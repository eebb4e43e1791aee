// The frame of a view: its heading, the way back, and how wide it may get.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { Icon } from './icon.js';

/** Whether a view was shown before: the first one leaves the focus where the browser has it. */
let before = false;

export function Page({
    title,
    back,
    actions,
    width = 'narrow',
    children,
}: {
    /** The heading, and with the name of the wallet the title of the tab. */
    title: string;
    /** A path such as `/account/NQ…`. */
    back?: { to: string; text: string };
    /** Beside the heading. */
    actions?: ComponentChildren;
    /** Narrow is for forms and texts. */
    width?: 'narrow' | 'wide';
    children?: ComponentChildren;
}) {
    const heading = useRef<HTMLHeadingElement>(null);
    useEffect(() => {
        document.title = `${title} · pico-sync`;
        // Who hears the page is taken to what is new on it, unless a field has asked for the focus.
        if (before && !heading.current?.closest('.page')?.contains(document.activeElement)) heading.current?.focus({ preventScroll: true });
        before = true;
    }, [title]);
    return (
        <div class={`page ${width}`}>
            <div class="page-head">
                {back && (
                    <a class="page-back" href={`#${back.to}`}>
                        <Icon name="back" />
                        {back.text}
                    </a>
                )}
                <div class="row apart">
                    <h1 ref={heading} tabIndex={-1}>
                        {title}
                    </h1>
                    {actions}
                </div>
            </div>
            {children}
        </div>
    );
}
