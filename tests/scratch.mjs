// Folders for the time that a test file runs.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Makes a temporary folder, and returns its path. It is removed when the process ends: hooks of a test run in the order they
 * were given, and a folder that is asked for first would be removed while servers and browsers still write to it.
 */
export function scratchFolder(name) {
    const folder = mkdtempSync(join(tmpdir(), `pico-sync-${name}-`));
    // A child that was told to end may take a moment.
    process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
    return folder;
}
