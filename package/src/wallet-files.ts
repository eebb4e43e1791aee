// The wallet's wasm, where it is a file beside the script: loaded by importing this, so that all that comes after can be
// synchronous. `wallet-embedded.ts` stands in for this module where it isn't.

import { load } from './load.js';
import { instantiate, type WalletCore } from './wallet-core.js';

const module = await load(new URL('./wallet_bg.wasm', import.meta.url), "The wallet's");
const core = await instantiate(module, { globals: { globalThis }, guard: (exports) => exports });

/** The one instance. */
export function walletCore(): WalletCore {
    return core;
}
