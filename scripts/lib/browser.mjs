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
    const { chromium, options } = await installed(args);
    return chromium.launch(options);
}

/** The same with a profile, in that folder, as people have: a context that is no private window. Closing it ends the browser. */
export async function launchProfile(folder, { args = [] } = {}) {
    const { chromium, options } = await installed(args);
    return chromium.launchPersistentContext(folder, options);
}

async function installed(args) {
    const executablePath = findBrowser();
    if (!executablePath) throw new Failure('no Chromium or Chrome found: `node scripts/setup.mjs browser` installs one, or set CHROME_PATH');
    // Imported late: playwright-core is itself installed by the setup.
    const { chromium } = await import('playwright-core');
    return { chromium, options: { executablePath, args: [...FLAGS, ...args], handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false } };
}
