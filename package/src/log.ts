// Log records of the core, on their way to the page.

import type { Bridge } from './core.js';
import type { LogRecord } from './types.js';

/** Where log records go: to the page's function, else to the console. */
export function logSink(logger?: (record: LogRecord) => void): Bridge['log'] {
    if (!logger) {
        return (level, target, message) => {
            const method = level === 'trace' ? 'debug' : level;
            console[method](`${target}: ${message}`);
        };
    }
    return (level, target, message) => {
        // Not at once: the core is in the middle of something, and the page's function may call it.
        queueMicrotask(() => {
            try {
                logger({ level, target, message });
            } catch (error) {
                // The page's own error, shown as such.
                if (typeof reportError === 'function') reportError(error);
                else console.error(error);
            }
        });
    };
}
