// The worker in which passwords become keys: it does that once, and is ended by `crypto.ts`.

import type { KdfRequest, KdfResponse } from './crypto.js';
import { keyOf } from './kdf.js';

addEventListener('message', ({ data }: MessageEvent<KdfRequest>) => {
    const answer = (response: KdfResponse) => (postMessage as (message: KdfResponse) => void)(response);
    keyOf(data).then(
        (key) => answer({ key }),
        // Not enough memory is what can be expected here. Nothing of the password is in such messages.
        (error: unknown) => answer({ problem: error instanceof Error ? error.message : String(error) }),
    );
});
