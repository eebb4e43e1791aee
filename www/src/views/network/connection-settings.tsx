// Where the client connects to: kept in this browser, for every view.

import { useState } from 'preact/hooks';
import type { Network, SyncMode } from 'pico-sync-client';

import { clientState, devnet, disconnect, network, wish, wishes } from '../../state/connection.js';
import { Button } from '../../ui/button.js';
import { Choices, Field } from '../../ui/field.js';

const NETWORKS: { value: Network; text: string }[] = [
    { value: 'main-albatross', text: 'Main network' },
    { value: 'test-albatross', text: 'Test network' },
    { value: 'dev-albatross', text: 'Dev network' },
    { value: 'unit-albatross', text: 'Local devnet' },
];

export function ConnectionSettings() {
    const wanted = wishes.value;
    const [chosen, choose] = useState<Network>(wanted?.network ?? network.peek());
    const [mode, setMode] = useState<SyncMode>(wanted?.mode ?? 'pico');
    const [peers, setPeers] = useState(wanted?.peers.join('\n') ?? '');
    const closed = clientState.value?.consensus === 'closed';
    const submit = (event: Event) => {
        event.preventDefault();
        void wish({ network: chosen, mode, peers: peers.split(/\s+/).filter(Boolean) });
    };
    const reset = () => {
        choose(devnet.peek()?.network ?? 'main-albatross');
        setMode('pico');
        setPeers('');
        void wish(undefined);
    };
    return (
        <details class="card connection">
            <summary>
                <h2>Connection</h2>
            </summary>
            <form class="stack" onSubmit={submit}>
                <Field label="Network" value={chosen} onInput={(value) => choose(value as Network)} options={NETWORKS} />
                <Choices
                    label="Mode"
                    value={mode}
                    onChange={setMode}
                    options={[
                        { value: 'pico', text: 'Pico', hint: 'optimistic, then proven' },
                        { value: 'light', text: 'Light', hint: 'proven from the start' },
                    ]}
                />
                <Field
                    label="Peers to dial first"
                    hint={devnet.value?.network === chosen ? 'One multiaddr a line. Empty: the nodes of the devnet.' : 'One multiaddr a line. Empty: the public seed nodes.'}
                    value={peers}
                    onInput={setPeers}
                    rows={3}
                    mono
                    placeholder="/ip4/127.0.0.1/tcp/8443/ws"
                />
                <div class="actions">
                    <Button kind="primary" type="submit">
                        Connect
                    </Button>
                    {wanted && <Button onClick={reset}>As usual</Button>}
                    <Button disabled={closed} onClick={() => void disconnect()}>
                        Disconnect
                    </Button>
                </div>
            </form>
        </details>
    );
}
