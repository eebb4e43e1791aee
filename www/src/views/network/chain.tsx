// The chain as this client holds it: what is proven, from a trusted block on; what only peers say; and what was given up.

import './chain.css';

import type { ComponentChildren } from 'preact';

import { age, duration, integer, shortHash, shortId } from '../../lib/format.js';
import { live } from '../../state/connection.js';
import type { Block, Fallback, Session } from '../../state/session.js';
import { Icon } from '../../ui/icon.js';

/** Cells of the row of blocks. */
const CELLS = 40;

type LinkState = 'proven' | 'checking' | 'believed' | 'open';

export function Chain({ session: of }: { session: Session }) {
    const session = live(of);
    const { state } = session;
    const adopted = session.milestones.has('head') && state !== undefined;
    const dispute = session.inDispute;
    const verified = adopted && state.trust === 'verified' && !(dispute && session.macros.length === 0);
    // Between a fallback and the next proven block the client stands on the trusted block alone.
    const macro = adopted && (!dispute || session.macros.length > 0) ? state.macroHead : undefined;
    const election = macro && state ? state.electionHead : undefined;
    // Once it was asked for a proof, it is on its way: where peers have none, signatures are checked.
    const checking = adopted && (session.zkp !== undefined || dispute);
    const proof: LinkState = verified ? 'proven' : checking ? 'checking' : election ? 'believed' : 'open';
    const fallback = session.fallbacks.at(-1);
    const boundary = <Boundary key="boundary" verified={verified} />;
    return (
        <section class="card stack chain-card" aria-labelledby="chain-title">
            <div class="row apart">
                <h2 id="chain-title">Chain</h2>
                <p class="soft small" data-testid="trust">
                    {trustWords(session, verified, dispute)}
                </p>
            </div>
            <ol class="chain" data-testid="chain" data-trust={verified ? 'verified' : adopted ? 'optimistic' : ''}>
                <Node kind="anchor" title="Trusted block" number={session.anchor} sub="where proofs begin" />
                {adopted && !verified && boundary}
                <Link state={proof} long>{linkWords(session, proof, verified)}</Link>
                <Node kind="election" title="Election block" number={election?.blockNumber} hash={election?.hash} sub={election && `ends epoch ${integer(election.epoch)}`} state={verified ? 'proven' : 'believed'} />
                {macro && election && macro.blockNumber !== election.blockNumber && (
                    <>
                        <Link state={verified ? 'proven' : 'believed'}>{integer(macro.blockNumber - election.blockNumber)} blocks</Link>
                        <Node kind="checkpoint" title="Checkpoint" number={macro.blockNumber} hash={macro.hash} sub="ends a batch" state={verified ? 'proven' : 'believed'} />
                    </>
                )}
                {verified && boundary}
                <Link state={macro ? 'believed' : 'open'}>{macro && state ? `${integer(state.head.blockNumber - macro.blockNumber)} since` : ''}</Link>
                <Node kind="head" title="Head" number={macro && state?.head.blockNumber} hash={macro && state?.head.hash} sub={macro && state ? age(state.head.timestamp) : undefined} state="believed" />
            </ol>
            {fallback && <GivenUp fallback={fallback} />}
            <Comb blocks={session.blocks} />
        </section>
    );
}

function Node({ kind, title, number, hash, sub, state = 'proven' }: { kind: 'anchor' | 'election' | 'checkpoint' | 'head'; title: string; number?: number; hash?: string; sub?: string; state?: LinkState }) {
    return (
        <li class={`chain-node ${kind}`} data-state={number === undefined && kind !== 'anchor' ? 'open' : state}>
            <svg class="chain-hexagon" viewBox="-26 -23 52 46" aria-hidden="true">
                <path d="M24 0 12 20.8-12 20.8-24 0-12-20.8 12-20.8z" />
                {kind === 'anchor' && <path class="chain-sign" d="M-4-2v-4a4 4 0 0 1 8 0v4M-7-2H7v9H-7z" />}
                {kind === 'election' && <path class="chain-sign" d="M-7 .5-2 5.5 8-5" />}
                {kind === 'checkpoint' && <path class="chain-sign" d="M-5 0-1.5 3.5 6-3.5" />}
                {kind === 'head' && <circle class="chain-dot" r="6" />}
            </svg>
            <div class="chain-words">
                <p class="label">{title}</p>
                {(number !== undefined || kind !== 'anchor') && <p class="chain-number numeric">{number === undefined ? '–' : integer(number)}</p>}
                {hash && (
                    <p class="soft xs mono" title={hash}>
                        {hash.slice(0, 8)}…
                    </p>
                )}
                {sub && <p class="soft xs">{sub}</p>}
            </div>
        </li>
    );
}

function Link({ state, long = false, children }: { state: LinkState; /** Has more to say than the others. */ long?: boolean; children?: ComponentChildren }) {
    return (
        <li class={long ? 'chain-link long' : 'chain-link'} data-state={state}>
            <span class="chain-line" aria-hidden="true" />
            <span class="chain-link-words small">{children}</span>
        </li>
    );
}

/** Where what is proven ends. */
function Boundary({ verified }: { verified: boolean }) {
    return (
        <li class="boundary" data-verified={verified}>
            <span class="unseen">Trust boundary: </span>
            <span class="boundary-proven">proven</span>
            <span class="boundary-line" aria-hidden="true" />
            <span class="boundary-believed">{verified ? 'signed, not final' : 'on the peers’ word'}</span>
        </li>
    );
}

/** The branch that a fallback cut off. */
function GivenUp({ fallback: { given, peerId, banned, reason } }: { fallback: Fallback }) {
    return (
        <div class="given-up">
            <svg class="given-fork" viewBox="0 0 60 40" aria-hidden="true" preserveAspectRatio="none">
                <path d="M4 0v12q0 20 20 20h36" vector-effect="non-scaling-stroke" />
            </svg>
            <svg class="chain-hexagon" viewBox="-26 -23 52 46" aria-hidden="true">
                <path d="M24 0 12 20.8-12 20.8-24 0-12-20.8 12-20.8z" />
                <path class="chain-sign" d="M-7-7 7 7M7-7-7 7" />
            </svg>
            <div class="chain-words">
                <p class="label">Given up</p>
                {given ? (
                    <p>
                        <span class="chain-number numeric">{integer(given.blockNumber)}</span>{' '}
                        <span class="soft xs mono" title={given.hash}>
                            {shortHash(given.hash)}
                        </span>
                    </p>
                ) : (
                    <p>All that was adopted</p>
                )}
                <p class="soft xs">
                    {banned[0] ? `told by ${shortId(banned[0].peerId)}, which is banned` : peerId ? `${shortId(peerId)} contradicts: ${reason}` : reason}
                </p>
            </div>
        </div>
    );
}

/** The latest blocks, as they come. */
function Comb({ blocks }: { blocks: Block[] }) {
    // Only what hangs together: a sync may have jumped.
    let from = blocks.length - 1;
    while (from > 0 && blocks[from - 1].blockNumber === blocks[from].blockNumber - 1) from -= 1;
    const row = blocks.slice(Math.max(from, 0)).slice(-CELLS);
    const last = row.at(-1);
    if (!last || row.length < 2) return null;
    return (
        <div class="comb-frame">
            <div class="comb" role="img" aria-label={`The latest ${row.length} blocks, up to ${integer(last.blockNumber)}`}>
                {row.map(({ blockNumber, hash, kind }) => (
                    <span key={hash} class={`cell ${kind}`} title={`${kind} block ${integer(blockNumber)}`} />
                ))}
            </div>
            <p class="soft xs" aria-hidden="true">
                <span class="cell micro" /> micro <span class="cell checkpoint" /> checkpoint <span class="cell election" /> election
            </p>
        </div>
    );
}

function linkWords(session: Session, link: LinkState, verified: boolean): ComponentChildren {
    const { zkp, trust } = session;
    if (verified) {
        switch (trust?.via) {
            case 'zkp':
                return (
                    <>
                        <Icon name="shield" /> zero-knowledge proof
                        {zkp?.status === 'verified' && (
                            <>
                                {zkp.blockNumber !== undefined && zkp.blockNumber !== session.state?.electionHead.blockNumber && ` to ${integer(zkp.blockNumber)}, then signatures`}
                                {zkp.ms !== undefined && <span class="soft"> ({duration(zkp.ms)})</span>}
                            </>
                        )}
                    </>
                );
            case 'signatures':
                return (
                    <>
                        <Icon name="shield" /> signatures of the validators
                    </>
                );
            case 'storage':
                return (
                    <>
                        <Icon name="shield" /> proven in an earlier visit
                    </>
                );
            default:
                return 'proven as far as it goes';
        }
    }
    if (link === 'checking') {
        if (zkp?.status === 'verifying') return 'checking a zero-knowledge proof';
        if (zkp?.status === 'requested') return 'asking for a proof';
        return 'checking signatures';
    }
    return link === 'believed' ? 'not proven yet' : '';
}

/** What trust rests on, in a sentence. */
function trustWords(session: Session, verified: boolean, dispute: boolean): string {
    if (dispute && !verified) return 'Peers disagree: nothing is believed that isn’t proven';
    if (!session.milestones.has('head')) return 'Nothing adopted yet';
    if (!verified) return 'Peers agree; the proof is on its way';
    switch (session.trust?.via) {
        case 'zkp':
            return 'Proven by a zero-knowledge proof';
        case 'signatures':
            return 'Proven by the validators’ signatures';
        case 'storage':
            return 'Proven in an earlier visit';
        default:
            return 'Proven';
    }
}
