// Which view belongs to which route.

import type { Route } from './router.js';
import { status } from '../vault/vault.js';
import { AccountView } from '../views/account.js';
import { Create } from '../views/create.js';
import { Home } from '../views/home.js';
import { Import } from '../views/import.js';
import { NetworkView } from '../views/network.js';
import { NotFound } from '../views/not-found.js';
import { Receive } from '../views/receive.js';
import { Send } from '../views/send.js';
import { Settings } from '../views/settings.js';
import { Stake } from '../views/stake.js';
import { Unlock } from '../views/unlock.js';
import { Watch } from '../views/watch.js';

/** The view of a route. Each is keyed by where it is, so that nothing of one account stays on the page for the next. */
export function View({ route }: { route: Route }) {
    if (route.view === 'network') return <NetworkView />;
    if (route.view === 'not-found') return <NotFound />;
    // What is on the network is for everyone to see; the rest is for who has the password.
    if (status.value === 'opening') return <Opening />;
    if (status.value === 'locked') return <Unlock />;
    switch (route.view) {
        case 'home':
            return <Home />;
        case 'create':
            return <Create />;
        case 'import':
            return <Import />;
        case 'watch':
            return <Watch address={'address' in route ? route.address : undefined} />;
        case 'settings':
            return <Settings />;
        case 'account':
            return <AccountView address={route.address} />;
        case 'send':
            return <Send address={route.address} />;
        case 'receive':
            return <Receive address={route.address} />;
        case 'stake':
            return <Stake address={route.address} />;
    }
}

/** As `index.html` has it, for the moment until it is known whether there is a wallet. */
function Opening() {
    return (
        <div class="page narrow" aria-hidden="true">
            <span class="skeleton frame-title" />
            <span class="skeleton frame-card" />
        </div>
    );
}
