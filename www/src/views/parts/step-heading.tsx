// The heading of a step within a view: who can't see that the step has changed is taken there.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

export function StepHeading({ children }: { children: ComponentChildren }) {
    const heading = useRef<HTMLHeadingElement>(null);
    // What was pressed to get here is gone from the page, and the focus with it.
    useEffect(() => heading.current?.focus(), []);
    return (
        <h2 ref={heading} tabIndex={-1} class="step-heading">
            {children}
        </h2>
    );
}
