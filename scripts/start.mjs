// `npm start`: from a clean checkout to a page that syncs to real Nimiq nodes on this machine.
//
//     npm start [-- options]
//       --headless          watch the page in headless Chromium instead of serving it: every sync event is one
//                           JSON line on stdout; ends with 0 after 5 new live heads
//       --adversary [KIND]  add a lying peer (default: conflicting-election)
//       --proofs KIND       what proofs of the election chain the nodes serve: "fixture" (default), "simulated" or "none"
//       --epochs N          prefilled epochs (default: those of the fixture, else 3)
//       --nodes N           honest nodes (default 3)
//       --no-gateway        without the gateway, by which the page reaches the nodes over WebRTC, too
//       --no-build          with the node and the package as they were built last; the page is built
//       --port N            of the page (default: any free one)
//       --timeout S         of --headless, from opening the page (default 60)

import { parseArgs } from 'node:util';

import { launchBrowser } from './lib/browser.mjs';
import { ADVERSARIES_WITH_FALLBACK, DEFAULT_ADVERSARY, buildNode, peerIdOf, startDevnet } from './lib/devnet.mjs';
import { Failure, bold, dim, elapsed, endOnSignals, main, run, say, step } from './lib/env.mjs';
import { startGateway } from './lib/gateway.mjs';
import { buildPage, pageDir } from './lib/page.mjs';
import { playground } from './lib/playground.mjs';
import { serve } from './serve.mjs';
import { setup } from './setup.mjs';

/** What `--proofs` takes. */
const PROOFS = ['fixture', 'simulated', 'none'];
/** What `--headless` waits for. */
const LIVE_HEADS = 5;

main(async () => {
    const from = performance.now();
    const options = parse(process.argv.slice(2));
    let devnet;
    let gateway;
    let server;
    let browser;
    const end = async () => {
        await browser?.close();
        await server?.close();
        await gateway?.stop();
        await devnet?.stop();
    };
    endOnSignals(end, options.headless ? undefined : 0);

    if (options.build) {
        await setup('build', 'node', ...(options.headless ? ['browser'] : []));
        await build();
    }
    await step('Building the page', buildPage);
    try {
        const adversary = options.adversary ? ` and a liar (${options.adversary})` : '';
        const chain = options.epochs ? `${options.epochs} epochs prefilled` : 'with the chain of the fixture';
        devnet = await step(`Starting ${options.nodes} Nimiq nodes${adversary}, ${chain}`, () => startDevnet(options));
        // With a liar, the page is told of it alone, and believes it until it has found the others through it: of two
        // that contradict each other, whom it asks first is chance, and a lie against a proven chain does nothing.
        const alone = devnet.liars.length > 0;
        if (options.gateway && !alone) gateway = await step('Starting a gateway', () => startGateway({ upstreams: devnet.nodes, network: devnet.network }));
        const peers = alone ? devnet.liars : devnet.addresses.concat(gateway?.webrtc ?? []);
        server = await serve({ mounts: { '/': pageDir, ...playground(devnet, { peers }) }, port: options.port });
        const died = Promise.race([devnet.exited, ...(gateway ? [gateway.exited] : [])]).then((message) => {
            throw new Failure(message);
        });
        if (options.headless) {
            browser = await launchBrowser();
            await Promise.race([watch(browser, server.url, devnet, gateway, options), died]);
            return 0;
        }
        say();
        for (const address of devnet.addresses) say(`  ${devnet.liars.includes(address) ? 'liar   ' : 'node   '}  ${dim(address)}`);
        for (const address of gateway?.addresses ?? []) say(`  gateway  ${dim(address)}`);
        if (gateway) say(`  gateway’s health and metrics at ${dim(`${gateway.http}/health`)} and ${dim('/metrics')}`);
        say(`  funded account ${devnet.funded.address}, private key ${dim(devnet.funded.privateKey)}`);
        say();
        say(`  ${bold(`Open ${server.url}`)}   ${dim(`(ready after ${elapsed(performance.now() - from)}; Ctrl-C ends it)`)}`);
        say();
        await died;
    } finally {
        await end();
    }
});

/** The command line, checked. */
function parse(argv) {
    const number = (name, value, least, most) => {
        const n = Number(value);
        if (!Number.isInteger(n) || n < least || n > most) throw new Failure(`--${name} takes a number from ${least} to ${most}, not "${value}"`);
        return n;
    };
    // `--adversary` may stand alone, which parseArgs has no word for.
    const args = argv.flatMap((arg, i) =>
        arg === '--adversary' && (argv[i + 1] === undefined || argv[i + 1].startsWith('-')) ? [arg, DEFAULT_ADVERSARY] : [arg],
    );
    let values;
    try {
        ({ values } = parseArgs({
            args,
            options: {
                headless: { type: 'boolean', default: false },
                adversary: { type: 'string' },
                proofs: { type: 'string', default: 'fixture' },
                epochs: { type: 'string' },
                nodes: { type: 'string', default: '3' },
                'no-gateway': { type: 'boolean', default: false },
                'no-build': { type: 'boolean', default: false },
                port: { type: 'string', default: '0' },
                timeout: { type: 'string', default: '60' },
            },
        }));
    } catch (error) {
        throw new Failure(error.message);
    }
    if (!PROOFS.includes(values.proofs)) throw new Failure(`--proofs takes one of ${PROOFS.join(', ')}, not "${values.proofs}"`);
    values.epochs ??= values.proofs === 'fixture' ? undefined : '3';
    return {
        headless: values.headless,
        adversary: values.adversary,
        proofs: values.proofs === 'none' ? undefined : values.proofs,
        epochs: values.epochs === undefined ? undefined : number('epochs', values.epochs, 1, 1000),
        nodes: number('nodes', values.nodes, 1, 20),
        gateway: !values['no-gateway'],
        build: !values['no-build'],
        port: number('port', values.port, 0, 65535),
        timeoutMs: number('timeout', values.timeout, 1, 3600) * 1000,
    };
}

/** The npm package and the node side by side: the first ends in long single-threaded steps. */
async function build() {
    const [wasm, node] = await Promise.allSettled([
        step('Building the npm package', () => run(process.execPath, ['scripts/build.mjs'], { label: 'package' })),
        step('Building the Nimiq node (the first time takes some minutes)', buildNode),
    ]);
    for (const { reason } of [wasm, node]) if (reason) throw reason;
}

/** Opens the page and prints its client's events until enough live heads were seen. */
async function watch(browser, url, devnet, gateway, { adversary, proofs, timeoutMs }) {
    const liars = new Set(devnet.liars.map(peerIdOf));
    const expectFallback = ADVERSARIES_WITH_FALLBACK.includes(adversary);
    const seen = { established: false, heads: 0, fallback: false, liarConvicted: false, liarGone: false, proof: false, trustByProof: false, transports: new Set() };

    const page = await browser.newPage();
    let timer;
    const done = new Promise((resolve, reject) => {
        const missing = () =>
            [
                !seen.established && 'consensus was not established',
                seen.heads < LIVE_HEADS && `only ${seen.heads} of ${LIVE_HEADS} live heads came`,
                expectFallback && !seen.fallback && 'no fallback was seen',
                expectFallback && !seen.liarConvicted && 'the liar was not found out',
                expectFallback && !seen.liarGone && 'the liar was not disconnected',
                gateway && !seen.transports.has('webrtc') && 'no peer was reached over WebRTC',
                gateway && !seen.transports.has('websocket') && 'no peer was reached over WebSocket',
                proofs && !seen.proof && 'no proof was verified',
                proofs && !seen.trustByProof && 'trust is not verified by a proof',
            ].filter(Boolean);
        timer = setTimeout(() => reject(new Failure(`after ${timeoutMs / 1000} s: ${missing().join(', ')}`)), timeoutMs);
        page.on('crash', () => reject(new Failure('the page crashed')));
        page.on('pageerror', (error) => reject(new Failure(`the page threw: ${error.stack || error}`)));
        page.exposeBinding('reportEvent', (_, event) => {
            process.stdout.write(`${JSON.stringify(event)}\n`);
            if (event.type === 'peer-joined') {
                seen.transports.add(event.transport);
            } else if (event.type === 'consensus') {
                seen.established = event.state === 'established';
            } else if (event.type === 'head' && seen.established) {
                seen.heads += 1;
            } else if (event.type === 'fallback') {
                seen.fallback = true;
                seen.heads = 0;
            } else if (event.type === 'zkp' && event.status === 'verified') {
                seen.proof = true;
            } else if (event.type === 'trust') {
                seen.trustByProof = event.level === 'verified' && event.via === 'zkp';
            } else if (event.type === 'macro-sync' && event.outcome === 'conflicting' && liars.has(event.peerId)) {
                seen.liarConvicted = true;
            } else if (event.type === 'peer-left' && liars.has(event.peerId)) {
                seen.liarGone = true;
            }
            if (!missing().length) resolve();
        })
            // The page shows every event of its client on the document, too.
            .then(() => page.addInitScript(() => document.addEventListener('pico-sync-event', ({ detail }) => window.reportEvent(detail))))
            .then(() => page.goto(url))
            .catch(reject);
    });
    try {
        await done;
    } finally {
        clearTimeout(timer);
    }
    say(`✓ followed ${seen.heads} live heads over ${[...seen.transports].sort().join(' and ')}${expectFallback ? ', after a fallback that the liar caused' : ''}`);
}
