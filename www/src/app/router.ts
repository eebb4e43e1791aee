// Where in the page one is, by the address's hash: any static server can serve it, and it works offline.

import { computed, signal } from '@preact/signals';

/** A view, and the account that it is of. */
export type Route =
    | { view: 'home' | 'create' | 'import' | 'watch' | 'network' | 'settings' | 'not-found' }
    | { view: 'account' | 'send' | 'receive' | 'stake' | 'watch'; address: string };

const hash = signal(location.hash);
addEventListener('hashchange', show);

/** What is shown. */
export const route = computed<Route>(() => parse(hash.value));

/** Goes to a path such as `/account/NQ07…`; `replace` leaves no way back to where one was. */
export function go(path: string, { replace = false } = {}): void {
    if (replace) history.replaceState(null, '', `#${path}`);
    else history.pushState(null, '', `#${path}`);
    show();
}

/** Draws what the address names, with a short cross-fade where the browser has one. */
function show(): void {
    if (hash.peek() === location.hash) return;
    const from = parse(hash.peek());
    const update = () => {
        hash.value = location.hash;
        // A new view is read from its beginning.
        if (parse(location.hash).view !== from.view) scrollTo(0, 0);
    };
    if (!document.startViewTransition || document.hidden || matchMedia('(prefers-reduced-motion: reduce)').matches) return update();
    // One that is cut short by the next has nothing to say.
    document.startViewTransition(update).ready.catch(() => {});
}

/** The route that a hash names. */
export function parse(of: string): Route {
    const parts = of.replace(/^#?\/?/, '').split('/').filter(Boolean);
    const [first, second, third] = parts;
    if (parts.length === 0) return { view: 'home' };
    if (parts.length === 1 && isPlain(first)) return { view: first };
    if (first === 'watch' && second !== undefined && parts.length === 2) return { view: 'watch', address: grouped(second) };
    if (first === 'account' && second !== undefined && parts.length <= 3) {
        const address = grouped(second);
        if (third === undefined) return { view: 'account', address };
        if (third === 'send' || third === 'receive' || third === 'stake') return { view: third, address };
    }
    return { view: 'not-found' };
}

/** An address as a part of a path. */
export const inPath = (address: string): string => address.replaceAll(' ', '');

/** An address as people read it: nine blocks of four. */
const grouped = (address: string): string => (address.replaceAll('%20', '').match(/.{1,4}/g) ?? []).join(' ');

function isPlain(name: string | undefined): name is 'create' | 'import' | 'watch' | 'network' | 'settings' {
    return ['create', 'import', 'watch', 'network', 'settings'].includes(name ?? '');
}
