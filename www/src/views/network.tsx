// The sync as it happens: who the peers are, what of the chain is proven, and how the client deals with a liar.

import './network/network.css';

import { Chain } from './network/chain.js';
import { ConnectionSettings } from './network/connection-settings.js';
import { Explained } from './network/explained.js';
import { Log } from './network/log.js';
import { Milestones, TrafficCard } from './network/measures.js';
import { PeerList } from './network/peer-list.js';
import { MapLegend, PeerMap } from './network/peer-map.js';
import { Recovery } from './network/recovery.js';
import { integer } from '../lib/format.js';
import { beat, network, session } from '../state/connection.js';
import { busy, canLie, liar, problem, turnOff, turnOn } from '../state/liar.js';
import { Button } from '../ui/button.js';
import { Notice } from '../ui/notice.js';
import { Page } from '../ui/page.js';

const NETWORKS: Record<string, string> = {
    'main-albatross': 'Main network',
    'test-albatross': 'Test network',
    'dev-albatross': 'Dev network',
    'unit-albatross': 'Local devnet',
};

export function NetworkView() {
    void beat.value;
    const now = session.value;
    return (
        <Page title="Network" width="wide" actions={canLie.value && <LiarButton />}>
            {problem.value && (
                <Notice tone="bad" title="The devnet could not do that">
                    {problem.value}
                </Notice>
            )}
            <p class="lead">
                This page speaks to Nimiq’s nodes itself and believes none of them. Here it is at work: who its peers are and how they are reached, what of the chain is proven, and
                what becomes of a peer that lies.
            </p>
            {now && (
                <>
                    <div class="overview card navy">
                        <div class="overview-words">
                            <p class="label">
                                {NETWORKS[network.value] ?? network.value}, {now.state?.syncer === 'light' ? 'light sync' : 'pico sync'}
                            </p>
                            <p class="overview-number numeric" data-testid="head">
                                {now.milestones.has('head') && now.state ? integer(now.state.head.blockNumber) : '–'}
                            </p>
                            <p class="soft small overview-hash mono" title={now.state?.head.hash}>
                                {now.milestones.has('head') && now.state ? now.state.head.hash.slice(0, 24) : 'waiting for a peer'}
                            </p>
                            <Milestones session={now} />
                        </div>
                        <div class="overview-map">
                            <PeerMap session={now} />
                            <MapLegend />
                        </div>
                    </div>
                    <Recovery session={now} />
                    <Chain session={now} />
                    <div class="two">
                        <PeerList session={now} />
                        <TrafficCard session={now} />
                    </div>
                    <Log session={now} />
                    <Explained />
                    <ConnectionSettings />
                </>
            )}
        </Page>
    );
}

function LiarButton() {
    return liar.value ? (
        <Button small icon="refresh" busy={busy.value} onClick={() => void turnOff()}>
            Back to the honest network
        </Button>
    ) : (
        <Button small icon="liar" busy={busy.value} onClick={() => void turnOn()}>
            Turn on the liar
        </Button>
    );
}
