// How the client comes out of a lie, step by step: with the devnet's liar turned on, or whenever peers disagree.

import type { ComponentChildren } from 'preact';

import { duration, integer, shortId } from '../../lib/format.js';
import { live } from '../../state/connection.js';
import { liar } from '../../state/liar.js';
import type { Session } from '../../state/session.js';
import { Icon } from '../../ui/icon.js';

type Step = { title: string; text: ComponentChildren; /** Unix ms; not yet if `undefined`. */ at?: number };

export function Recovery({ session: of }: { session: Session }) {
    const session = live(of);
    const on = liar.value;
    const fallback = session.fallbacks.at(-1);
    if (!on && !fallback) return null;
    const steps = on ? [believes(session), ...after(session)] : after(session);
    const now = steps.findIndex(({ at }) => at === undefined);
    const done = now < 0;
    return (
        <section class="card stack recovery" aria-labelledby="recovery-title" data-testid="recovery" data-done={done}>
            <div class="row apart">
                <h2 id="recovery-title">{on ? 'A liar among the peers' : 'Peers disagreed'}</h2>
                <p class="unseen" role="status">
                    {done ? 'Recovered. ' : ''}
                    {steps[done ? steps.length - 1 : now - 1]?.title}
                </p>
            </div>
            <ol class="steps">
                {steps.map(({ title, text, at }, i) => (
                    <li key={i} data-state={at !== undefined ? 'done' : i === now ? 'now' : 'open'}>
                        <span class="step-sign" aria-hidden="true">
                            {at !== undefined ? <Icon name="check" /> : i === now ? <span class="spinner" /> : i + 1}
                        </span>
                        <div>
                            <h3>
                                {title}
                                {at !== undefined && <span class="step-time numeric"> {duration(Math.max(0, at - session.startedAt))}</span>}
                            </h3>
                            <p class="soft small">{text}</p>
                        </div>
                    </li>
                ))}
            </ol>
        </section>
    );
}

/** With the button, the client starts from nothing and hears the liar first. */
function believes(session: Session): Step {
    return {
        title: 'It believes the liar',
        text: (
            <>
                A fresh client is sent to the liar alone: it knows nobody else, and nothing from before. What it is told it takes for the chain, on trust <em>optimistic</em>.
            </>
        ),
        at: session.adoptedAt,
    };
}

function after(session: Session): Step[] {
    const fallback = session.fallbacks.at(-1);
    const proven = fallback?.proven;
    const thrown = fallback?.banned[0];
    return [
        {
            title: 'Another peer contradicts',
            text: fallback ? `${fallback.peerId ? shortId(fallback.peerId) : 'A peer'}: ${fallback.reason}. One of the two is wrong, and the client can’t know which.` : 'Through the liar it learns of honest peers, and asks them, too.',
            at: fallback?.at,
        },
        {
            title: 'It gives up what it believed',
            text: fallback
                ? `Back to the trusted block${session.anchor === undefined ? '' : ` ${integer(session.anchor)}`}, and from there by light sync: checks come first.`
                : 'It goes back to the block it trusts, and lets nobody’s word count.',
            at: fallback?.at,
        },
        {
            title: 'It checks a proof',
            text: proven
                ? proven.via === 'zkp'
                    ? `A zero-knowledge proof leads from there to election block ${integer(proven.blockNumber)}. It holds${proven.ms === undefined ? '' : `; the check took ${duration(proven.ms)} in the worker`}.`
                    : `The validators’ signatures lead from there to block ${integer(proven.blockNumber)}.`
                : 'A zero-knowledge proof where a peer has one, else the validators’ signatures.',
            at: proven?.at,
        },
        {
            title: 'It bans who was wrong',
            text: thrown ? `${shortId(thrown.peerId)} is out${thrown.reason ? `: ${thrown.reason}` : ''}.` : 'What doesn’t fit the proven chain is a lie.',
            at: thrown?.at ?? (fallback?.recovered && proven ? fallback.recovered : undefined),
        },
        {
            title: 'It is in sync again, verified',
            text: fallback?.recovered === undefined ? 'Once enough peers agree with what is proven.' : 'The head is live again, and this time nothing rests on anybody’s word.',
            at: fallback?.recovered,
        },
    ];
}
