// What is on the page: the frame, and in it the view that the address names.

import { route } from './router.js';
import { clientState, failure } from '../state/connection.js';
import { Home } from '../views/home.js';
import { NetworkView } from '../views/network.js';

export function App() {
    const state = clientState.value;
    return (
        <>
            <header class="top">
                <p role="status" data-consensus={state?.consensus ?? 'connecting'} data-trust={state?.trust ?? ''}>
                    {failure.value ? String(failure.value) : `${state?.consensus ?? 'starting'} ${state?.trust ?? ''} ${state?.head.blockNumber ?? ''}`}
                </p>
                <nav>
                    <a href="#/">Wallet</a> <a href="#/network">Network</a> <a href="#/settings">Settings</a>
                </nav>
            </header>
            <main>{route.value.view === 'network' ? <NetworkView /> : <Home />}</main>
        </>
    );
}
