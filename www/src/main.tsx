// Boots the page: it is drawn first, and the client comes after.

import { render } from 'preact';

import { App } from './app/app.js';
import { start } from './state/connection.js';

const root = document.getElementById('app');
if (!root) throw new Error('the page has no place for the app');
render(<App />, root);
void start();
