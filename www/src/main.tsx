// Boots the page: it is drawn first, and the client comes after.

import { render } from 'preact';

import { App } from './app/app.js';
// The browser's offer comes early, and only once.
import './app/install.js';
import { keepForOffline } from './app/updates.js';
import { firstSettled, start } from './state/connection.js';

const root = document.getElementById('app');
if (!root) throw new Error('the page has no place for the app');
render(<App />, root);
void start();
// It fetches the whole page once more where the server forbids caching, so it comes after what one waits for.
void firstSettled().then(keepForOffline);
