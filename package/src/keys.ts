// The verifying keys of election-chain proofs that come with the package. Each network's is a module of its own, which only
// those load who join it. As modules, and not as files to fetch, they go through any bundler and content policy that the
// package itself goes through.

import { bytesOf } from './base64.js';
import { keys } from './built-in-keys.js';
import { describe } from './error.js';
import { within } from './wait.js';

/** How long a key may take to arrive: without, a client is only slower to verify. Milliseconds. */
const LOAD_TIMEOUT = 5_000;

/** A key, or why there is none although there should be; neither for a network that has none. */
export type BuiltInKey = { bytes?: Uint8Array; problem?: string };

/**
 * The built-in key of the network that `options` name, unless they bring one of their own. Never rejects. Options that make
 * no sense are left to the core to refuse.
 */
export async function builtInKey(options: { network?: unknown; verifyingKey?: unknown } | undefined): Promise<BuiltInKey> {
    try {
        const network = String(options?.network ?? 'main-albatross');
        if ((options?.verifyingKey ?? undefined) !== undefined || !Object.hasOwn(keys, network)) return {};
        const loading = (keys as Record<string, () => Promise<{ default: string }>>)[network]?.();
        if (!loading) return {};
        const { default: base64 } = await within(LOAD_TIMEOUT, loading, () => {});
        return { bytes: bytesOf(base64) };
    } catch (error) {
        return { problem: `the verifying key of the network could not be loaded: ${describe(error)}` };
    }
}
