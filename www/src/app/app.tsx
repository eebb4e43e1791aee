// The frame of the page: navigation, status, and what is worth a banner, around the view that the address names.

import { Banners } from './banners.js';
import { route } from './router.js';
import { Status } from './status.js';
import { View } from './views.js';
import { Icon, type IconName } from '../ui/icon.js';

const PLACES: { path: string; text: string; icon: IconName; views: string[] }[] = [
    { path: '/', text: 'Wallet', icon: 'wallet', views: ['home', 'create', 'import', 'watch', 'account', 'send', 'receive', 'stake'] },
    { path: '/network', text: 'Network', icon: 'network', views: ['network'] },
    { path: '/settings', text: 'Settings', icon: 'settings', views: ['settings'] },
];

/** `index.html` has the same frame, for the time until this runs. */
export function App() {
    const at = route.value;
    return (
        <>
            <a class="skip" href="#main" onClick={skip}>
                Skip to the content
            </a>
            <div class="shell">
                <header class="top">
                    <a class="brand" href="#/">
                        <Logo />
                        <span>
                            pico<b>sync</b>
                        </span>
                    </a>
                    <nav class="places" aria-label="Main">
                        {PLACES.map(({ path, text, icon, views }) => (
                            <a key={path} href={`#${path}`} aria-current={views.includes(at.view) ? 'page' : undefined}>
                                <Icon name={icon} />
                                {text}
                            </a>
                        ))}
                    </nav>
                    <Status />
                </header>
                <main id="main" tabIndex={-1}>
                    <Banners />
                    <View route={at} key={'address' in at ? `${at.view} ${at.address}` : at.view} />
                </main>
            </div>
        </>
    );
}

function Logo() {
    return (
        <svg class="logo" viewBox="0 0 32 28" aria-hidden="true">
            <path d="M23 1H9L1.5 14 9 27h14l7.5-13z" />
            <path class="core" d="M19.5 8h-7L9 14l3.5 6h7l3.5-6z" />
        </svg>
    );
}

/** The hash names the view, so that it can't lead to an element as well. */
function skip(event: MouseEvent): void {
    event.preventDefault();
    document.getElementById('main')?.focus();
}
