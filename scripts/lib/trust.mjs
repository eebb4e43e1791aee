// What it takes a client to verify: by a proof and by signatures, at some distance from where proofs start.

import { join } from 'node:path';

import { serve } from '../serve.mjs';
import { launchBrowser } from './browser.mjs';
import { startDevnet } from './devnet.mjs';
import { Failure, root, step } from './env.mjs';

/** Epochs before the block that proofs start from: its version of the protocol is the first that they know. */
const BEFORE_ANCHOR = 1;
/** Epochs of the fixture that there are proofs of. */
const FIXTURE_EPOCHS = 5;
/** How often one proof is checked. */
const CHECKS = 8;
/** Signing an epoch takes some 0.3 s, checking the signatures of one about as long. Milliseconds for each. */
const PATIENCE_MS = 2000;

/**
 * At each of `distances`, in epochs: `{ distance, proofs, byProof, bySignatures, checks }`. `proofs` says what they
 * are: those of the fixture as far as that goes, simulated ones beyond. The next two are results of `runs` clients
 * each: `{ ms, bytes }`. `checks`: milliseconds of some checks of one proof, in the same worker.
 */
export async function measureTrust(distances, runs) {
    const results = [];
    for (const distance of distances) {
        const proofs = distance <= FIXTURE_EPOCHS ? 'fixture' : 'simulated';
        const patience = 120_000 + distance * PATIENCE_MS;
        const devnet = await step(`Starting a devnet ${distance} epochs from where proofs start`, () =>
            startDevnet({ epochs: BEFORE_ANCHOR + distance, proofs, readyMs: patience }),
        );
        try {
            // The longest walks once: whatever disturbs one is little beside them.
            const walks = proofs === 'fixture' ? runs : 1;
            const [byProof, bySignatures, checks] = [[], [], []];
            for (let i = 0; i < runs; i++) {
                const result = await step(`By proof, run ${i + 1} of ${runs}`, () => visit(devnet, 'zkp', patience));
                byProof.push(result);
                checks.push(result.checks);
            }
            for (let i = 0; i < walks; i++) {
                bySignatures.push(await step(`By signatures, run ${i + 1} of ${walks}`, () => visit(devnet, 'signatures', patience)));
            }
            results.push({ distance, proofs, byProof, bySignatures, checks });
        } finally {
            await devnet.stop();
        }
    }
    return results;
}

/** One client, in a new browser, that verifies `via` that. */
async function visit(devnet, via, patience) {
    // A client that can't load the key of the network has no use for proofs.
    const withKey = via === 'zkp';
    const server = await serve({
        mounts: {
            '/': join(root, 'tests', 'bench'),
            '/ours/': join(root, 'dist'),
            '/devnet.json': () => ({ network: devnet.network, peers: devnet.addresses, verifyingKey: withKey ? devnet.verifyingKey : undefined }),
        },
        mutate: (path, body) => {
            if (!withKey && path.startsWith('/ours/keys/')) throw Object.assign(new Error('left out'), { code: 'ENOENT' });
            return body;
        },
    });
    const browser = await launchBrowser();
    try {
        const page = await browser.newPage();
        page.setDefaultTimeout(patience);
        await page.goto(`${server.url}trust.html`);
        await page.waitForFunction(() => window.trust);
        const result = await page.evaluate(() => window.trust.verified);
        if (result.via !== via) throw new Failure(`verified by ${result.via}, not by ${via}`);
        const checks = withKey ? await page.evaluate((times) => window.trust.checkProof(times), CHECKS) : undefined;
        return { ...result, checks };
    } finally {
        await browser.close();
        await server.close();
    }
}
