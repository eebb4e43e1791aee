// What the whole page should know of: no network, peers that disagree, a client that failed, a new version.

import { route } from './router.js';
import { applyUpdate, updateReady } from './updates.js';
import { isClientError, whyNoClient } from '../lib/errors.js';
import { duration } from '../lib/format.js';
import { online } from '../lib/online.js';
import { clientState, connect, failure, lastOptions, session } from '../state/connection.js';
import { liar } from '../state/liar.js';
import { Button } from '../ui/button.js';
import { Notice } from '../ui/notice.js';

export function Banners() {
    const state = clientState.value;
    const stall = session.value?.stall;
    const alone = state?.consensus === 'connecting' && session.value && session.value.unreachable > 0 && Date.now() - session.value.startedAt > PATIENCE;
    const unfit = isClientError(failure.value) && failure.value.code === 'invalid-options';
    const offline = !online.value || state?.consensus === 'offline';
    return (
        <div class="banners">
            {updateReady.value && (
                <Notice
                    icon="download"
                    actions={
                        <Button small onClick={applyUpdate}>
                            Reload
                        </Button>
                    }
                >
                    A new version of this wallet is ready.
                </Notice>
            )}
            {liar.value && route.value.view !== 'network' && (
                <Notice icon="liar">
                    The liar is on: this client hears it first, and knows nothing from before. <a href="#/network">See what becomes of it</a>
                </Notice>
            )}
            {failure.value !== undefined ? (
                <Notice
                    tone="bad"
                    title={unfit ? 'With these settings it can’t connect' : 'The light client has stopped'}
                    actions={
                        <Button small onClick={() => void connect(lastOptions.peek())}>
                            Start again
                        </Button>
                    }
                >
                    {whyNoClient(failure.value)} {unfit && <a href="#/network">Change the connection</a>}
                </Notice>
            ) : state?.consensus === 'closed' ? (
                <Notice
                    icon="network"
                    title="Not connected"
                    actions={
                        <Button small onClick={() => void connect(lastOptions.peek())}>
                            Connect
                        </Button>
                    }
                >
                    The light client was closed. Nothing new comes until it is started again.
                </Notice>
            ) : offline ? (
                <Notice tone="warn" icon="offline" title="Offline">
                    What you see is what was known before. It goes on by itself once there is a connection.
                </Notice>
            ) : stall ? (
                <Notice tone="warn" icon="clock">
                    Nothing came from the network for {duration(stall.forMs)}. {ACTIONS[stall.action]}
                </Notice>
            ) : alone ? (
                <Notice tone="warn" icon="network" title="No peer can be reached yet">
                    It keeps trying. Should it last: is this network blocked here, or does the page ask for <a href="#/network">the wrong peers</a>?
                </Notice>
            ) : (
                // The network view has it in full.
                session.value?.inDispute && route.value.view !== 'network' && <Fallback />
            )}
        </div>
    );
}

/** How long nobody need be told that there is no peer yet, in ms. */
const PATIENCE = 5000;

const ACTIONS: Record<string, string> = {
    redial: 'Dialling peers again.',
    'restart-network': 'Starting the network anew.',
    resync: 'Syncing again.',
};

function Fallback() {
    return (
        <Notice tone="warn" icon="liar" title="Peers disagree about the chain">
            Nothing is believed until it is proven from a trusted block. <a href="#/network">Watch it happen</a>
        </Notice>
    );
}
