// Which view belongs to which route.

import type { Route } from './router.js';
import { Home } from '../views/home.js';
import { NetworkView } from '../views/network.js';
import { NotFound } from '../views/not-found.js';

/** The view of a route. Each is keyed by where it is, so that nothing of one account stays on the page for the next. */
export function View({ route }: { route: Route }) {
    switch (route.view) {
        case 'home':
            return <Home />;
        case 'network':
            return <NetworkView />;
        default:
            return <NotFound />;
    }
}
