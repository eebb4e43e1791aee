// Times and bytes: how long each step of the sync took, and what goes over the wire.

import { bytes, duration } from '../../lib/format.js';
import { useWidth } from '../../lib/width.js';
import { live } from '../../state/connection.js';
import type { Milestone, Session } from '../../state/session.js';

const STEPS: { key: Milestone; text: string }[] = [
    { key: 'peer', text: 'First peer' },
    { key: 'head', text: 'First head' },
    { key: 'established', text: 'Established' },
    { key: 'verified', text: 'Verified' },
];

/** When each step was reached, on one scale, from the moment the client was asked for. */
export function Milestones({ session: of }: { session: Session }) {
    const session = live(of);
    const last = Math.max(1, ...session.milestones.values());
    return (
        <ol class="milestones" aria-label="Time since this client was started">
            {STEPS.map(({ key, text }) => {
                const at = session.milestones.get(key);
                return (
                    <li key={key} data-reached={at !== undefined}>
                        <span class="what">{text}</span>
                        <span class="when numeric">{at === undefined ? '–' : duration(at)}</span>
                        <span class="scale" aria-hidden="true">
                            <span style={{ width: `${at === undefined ? 0 : Math.max(2, (at / last) * 100)}%` }} />
                        </span>
                    </li>
                );
            })}
        </ol>
    );
}

const HEIGHT = 84;

/** Bytes a second over the last minute and a half, received above the line, sent below; and all of them. */
export function TrafficCard({ session: of }: { session: Session }) {
    const session = live(of);
    const [ref, width] = useWidth<HTMLDivElement>(320);
    const { state, traffic } = session;
    const most = Math.max(2000, ...traffic.flatMap(({ received, sent }) => [received, sent]));
    const step = 5;
    const shown = traffic.slice(-Math.floor(width / step));
    const middle = HEIGHT / 2;
    // What is little next to what is much should still be seen.
    const high = (n: number) => (n <= 0 ? 0 : Math.max(1.5, Math.sqrt(n / most) * (middle - 3)));
    const now = shown.at(-1);
    return (
        <section class="card stack" aria-labelledby="traffic-title">
            <h2 id="traffic-title">Traffic</h2>
            <dl class="figures">
                <div>
                    <dt>Received</dt>
                    <dd class="numeric" data-testid="received">
                        {state ? bytes(state.bytesReceived) : '–'}
                    </dd>
                </div>
                <div>
                    <dt>Sent</dt>
                    <dd class="numeric" data-testid="sent">
                        {state ? bytes(state.bytesSent) : '–'}
                    </dd>
                </div>
            </dl>
            <div ref={ref} class="traffic">
                <svg width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`} role="img" aria-label="Bytes a second over the last minute and a half">
                    <line class="traffic-axis" x1="0" x2={width} y1={middle} y2={middle} />
                    {shown.map(({ at, received, sent }, i) => {
                        const x = width - (shown.length - i) * step;
                        return (
                            <g key={at}>
                                <rect class="traffic-in" x={x} y={middle - high(received)} width={step - 1.5} height={high(received)} />
                                <rect class="traffic-out" x={x} y={middle} width={step - 1.5} height={high(sent)} />
                            </g>
                        );
                    })}
                </svg>
            </div>
            <p class="soft xs numeric">
                {now ? `${bytes(now.received)} in and ${bytes(now.sent)} out in the last second` : 'Nothing yet'}
            </p>
        </section>
    );
}
