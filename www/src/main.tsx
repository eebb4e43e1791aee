// Boots the page: it is drawn first, and the client comes after.

import { render } from 'preact';

import { App } from './app/app.js';
// The browser's offer comes early, and only once.
import './app/install.js';
import { keepForOffline } from './app/updates.js';
import { followAccounts } from './state/accounts.js';
import { firstSettled, start } from './state/connection.js';
import { loadIdleMinutes, watchIdleness } from './vault/auto-lock.js';
import { open, status } from './vault/vault.js';

/** How long the client waits for the database at most, in ms: other tabs may hold it up. */
const PATIENCE = 1000;

const root = document.getElementById('app');
if (!root) throw new Error('the page has no place for the app');
render(<App />, root);
// The client is much to load, and waits for what there is to see: the frame, and in it the first view.
void Promise.race([openWallet(), late()]).then(painted).then(start);
// It fetches the whole page once more where the server forbids caching, so it comes after what one waits for.
void firstSettled().then(keepForOffline);

/** What is kept in this browser, and what becomes of the accounts in it. */
async function openWallet(): Promise<void> {
    watchIdleness();
    followAccounts();
    await open();
    if (status.peek() === 'unavailable') return;
    await loadIdleMinutes().catch((error: unknown) => console.info('how soon to lock is as usual, as settings can’t be read:', error));
}

function late(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, PATIENCE));
}

/** Resolves once the browser has shown what was drawn. */
function painted(): Promise<void> {
    return new Promise((resolve) => {
        // A page that isn't shown is never painted.
        if (document.hidden) resolve();
        else requestAnimationFrame(() => setTimeout(resolve));
    });
}
