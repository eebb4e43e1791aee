// Every event of the client, newest first.

import { useState } from 'preact/hooks';

import { clock, describe } from '../../lib/format.js';
import { live } from '../../state/connection.js';
import type { Session } from '../../state/session.js';
import { CopyButton } from '../../ui/copy-button.js';
import { Check } from '../../ui/field.js';

/** Lines that are drawn; all that is kept can be copied. */
const LINES = 150;
/** What comes so often that it hides the rest. */
const FREQUENT = new Set<string>(['head', 'dial-failed']);

export function Log({ session: of }: { session: Session }) {
    const session = live(of);
    const [all, showAll] = useState(false);
    // Newest first. The oldest one that is kept has this number.
    const first = session.eventCount - session.events.length;
    const shown = session.events
        .map((event, i) => ({ event, number: first + i }))
        .filter(({ event: { type } }) => all || !FREQUENT.has(type))
        .slice(-LINES)
        .reverse();
    return (
        <section class="card stack" aria-labelledby="log-title">
            <div class="row apart">
                <h2 id="log-title">Events</h2>
                <div class="row">
                    <Check label="Every block and dial" checked={all} onChange={showAll} />
                    <CopyButton text={() => session.events.map((event) => JSON.stringify(event)).join('\n')} label="Copy as JSON" />
                </div>
            </div>
            {/* It scrolls, so it takes the focus; it is not live: those who listen would hear nothing else. */}
            <ol class="log" data-testid="log" tabIndex={0} aria-labelledby="log-title">
                {shown.map(({ event, number }) => (
                    <li key={number} data-type={event.type} data-outcome={'outcome' in event ? event.outcome : undefined} data-status={'status' in event ? String(event.status) : undefined}>
                        <time dateTime={new Date(event.at).toISOString()}>{clock(event.at)}</time>
                        <span class="type">{event.type}</span>
                        <span class="text">{describe(event)}</span>
                    </li>
                ))}
            </ol>
            {shown.length === 0 && <p class="soft">Nothing has happened yet.</p>}
        </section>
    );
}
