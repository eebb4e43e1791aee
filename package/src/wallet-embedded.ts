// As `wallet-files.ts`, for bundlers that leave the files beside a module behind, and for Node. The wasm is text in a module, and
// compiled at its first use: so importing it has no effect, and takes no top-level `await`, which not every format of
// bundles has.

import { bytesOf } from './base64.js';
import { wasm } from './embedded-wallet.js';
import { notCompiled } from './load.js';
import { instantiateNow, type WalletCore } from './wallet-core.js';

let core: WalletCore | undefined;

/** The one instance. Throws `unsupported` where there can be none. */
export function walletCore(): WalletCore {
    core ??= instantiateNow(compiled(), { globals: { globalThis }, guard: (exports) => exports });
    return core;
}

function compiled(): WebAssembly.Module {
    try {
        return new WebAssembly.Module(bytesOf(wasm));
    } catch (error) {
        throw notCompiled("The wallet's", error);
    }
}
