// Launches the Chromium that is installed (`setup.mjs`), headless.

import { findBrowser } from '../setup.mjs';
import { Failure } from './env.mjs';

/** Nothing that reaches out by itself; no sandbox, as containers and root have none. */
export const FLAGS = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
];

/** A headless browser, driven by playwright-core. `args` are added to the flags. */
export async function launchBrowser({ args = [] } = {}) {
    const executablePath = findBrowser();
    if (!executablePath) throw new Failure('no Chromium or Chrome found: `node scripts/setup.mjs browser` installs one, or set CHROME_PATH');
    // Imported late: playwright-core is itself installed by the setup.
    const { chromium } = await import('playwright-core');
    return chromium.launch({ executablePath, args: [...FLAGS, ...args], handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false });
}
