// Puts a text on the clipboard, and says whether it could.

import { useEffect, useState } from 'preact/hooks';

import { Button } from './button.js';

/** How long it says "Copied", in ms. */
const SAID_FOR = 2000;

export function CopyButton({ text, label = 'Copy', small = true, kind = 'secondary' }: { text: string | (() => string); label?: string; small?: boolean; kind?: 'secondary' | 'quiet' }) {
    const [said, say] = useState('');
    useEffect(() => {
        if (!said) return;
        const timer = setTimeout(() => say(''), SAID_FOR);
        return () => clearTimeout(timer);
    }, [said]);
    const copy = () => {
        // Older browsers, and pages that aren't served securely, have no clipboard.
        const written = navigator.clipboard?.writeText(typeof text === 'string' ? text : text()) ?? Promise.reject(new Error('no clipboard'));
        written.then(
            () => say('Copied'),
            () => say('Not allowed here'),
        );
    };
    return (
        <>
            <Button kind={kind} small={small} icon={said === 'Copied' ? 'check' : 'copy'} onClick={copy}>
                {said || label}
            </Button>
            <span class="unseen" role="status">
                {said}
            </span>
        </>
    );
}
