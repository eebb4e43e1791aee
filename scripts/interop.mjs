// `npm run test:interop`: the page against an unmodified `nimiq-client`, which makes the blocks.
//
// Installs the node by cargo once, into the cache folder (10 to 20 minutes on two cores), has it run a network of its
// own as the only validator, and follows it in headless Chromium across election blocks, directly and through a gateway;
// meanwhile both pages send it transactions of every kind that the wallet makes. Apart from `npm test` because of that build, and because an epoch
// takes two minutes.
//
//     npm run test:interop [-- --elections N]      election blocks to cross (default 2)

import { createWriteStream, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { cargo } from './lib/cargo.mjs';
import { launchBrowser } from './lib/browser.mjs';
import { buildNode } from './lib/devnet.mjs';
import { Failure, capture, elapsed, endOnSignals, env, main, root, run, say, start, step } from './lib/env.mjs';
import { startGateway } from './lib/gateway.mjs';
import { payments } from './lib/interop-payments.mjs';
import { serve } from './serve.mjs';
import { setup } from './setup.mjs';

const NODE_VERSION = '2.3.0';
const NETWORK = 'unit-albatross';
/** The network's first block, and blocks an epoch: one a second. */
const GENESIS = 200;
const EPOCH = 128;
/** How long the node may take until it has made its first block. */
const NODE_START_MS = 60_000;
/** Blocks in a row that may be late before this gives up. */
const SILENCE_MS = 45_000;

main(async () => {
    const { values } = parseArgs({ options: { elections: { type: 'string', default: '2' } } });
    const elections = Number(values.elections);
    if (!Number.isInteger(elections) || elections < 1) throw new Failure(`--elections takes a whole number from 1, not "${values.elections}"`);

    const folder = mkdtempSync(join(tmpdir(), 'pico-sync-interop-'));
    let node;
    let gateway;
    let server;
    let browser;
    const end = async () => {
        await browser?.close();
        await server?.close();
        await gateway?.stop();
        await node?.stop();
        rmSync(folder, { recursive: true, force: true });
    };
    endOnSignals(end);
    try {
        await setup('build', 'node', 'browser');
        const binary = await installNode();
        await step('Building the npm package', () => run(process.execPath, ['scripts/build.mjs'], { label: 'package' }));
        await step('Building the gateway', buildNode);
        const keys = genesisKeys();
        node = await step(`Starting nimiq-client ${NODE_VERSION} as the validator of ${NETWORK}`, () => startNode(binary, folder, keys));
        gateway = await step('Starting a gateway to it', () => startGateway({ upstreams: [node.address], network: NETWORK }));
        server = await serve({ mounts: { '/': join(root, 'tests', 'e2e', 'pages'), '/dist/': join(root, 'dist') } });
        browser = await launchBrowser();
        const seconds = elections * EPOCH;
        await step(`Following it over ${elections} election blocks (up to ${elapsed(seconds * 1000)})`, () =>
            Promise.race([
                Promise.all([
                    follow(browser, server.url, { name: 'directly', address: node.address }, elections, keys),
                    follow(browser, server.url, { name: 'gateway ', address: gateway.webrtc }, elections, keys),
                ]),
                node.died,
                gateway.exited.then((message) => Promise.reject(new Failure(message))),
            ]),
        );
    } finally {
        await end();
    }
    say('The client and nimiq-client understand each other, directly and through a gateway.');
});

/** Installs `nimiq-client` once; resolves with its path. */
async function installNode() {
    const { cacheDir } = env();
    const target = join(cacheDir, 'interop');
    const binary = join(target, 'bin', 'nimiq-client');
    const installed = capture(binary, ['--version']);
    if (installed?.includes(NODE_VERSION)) return binary;
    await step(`Installing nimiq-client ${NODE_VERSION} to ${target} (10 to 20 minutes, once)`, async () => {
        const args = ['install', 'nimiq-client', '--version', NODE_VERSION, '--root', target, '--force'];
        const options = { label: 'nimiq-client', env: { CARGO_TARGET_DIR: join(cacheDir, 'interop-target') } };
        try {
            await cargo([...args, '--locked'], options);
        } catch (error) {
            if (!(error instanceof Failure)) throw error;
            say(`  ${error.message}; trying with what the registry has in place of its own lock file`);
            await cargo(args, options);
        }
    });
    rmSync(join(cacheDir, 'interop-target'), { recursive: true, force: true });
    return binary;
}

/** Runs the node until it makes blocks. Resolves with `{ address, died, stop }`. */
async function startNode(binary, folder, keys) {
    const port = await freePort();
    const config = join(folder, 'client.toml');
    writeFileSync(config, nodeConfig(port, folder, keys), { mode: 0o600 });
    // Its home is the temporary folder: nothing of the user's is read or written.
    const child = start(binary, ['--config', config], {
        stdio: ['ignore', 'pipe', 'pipe'],
        cwd: folder,
        env: { ...env().processEnv, HOME: folder, NO_COLOR: '1' },
    });
    const logFile = createWriteStream(join(folder, 'node.log'));
    const tail = [];
    let blocks;
    const published = new Promise((done) => (blocks = done));
    for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
            logFile.write(`${line}\n`);
            tail.push(line);
            if (tail.length > 30) tail.shift();
            if (line.includes('Publishing MicroBlock')) blocks();
        });
    }
    let stopping = false;
    const closed = new Promise((done) => child.once('close', (code, signal) => done(signal || `exit code ${code}`)));
    const died = Promise.race([closed, new Promise((done) => child.once('error', (error) => done(error.message)))]).then((how) => {
        if (!stopping) throw new Failure([`nimiq-client ended (${how})`, ...tail].join('\n    '));
    });
    let timer;
    const late = new Promise((_, fail) => {
        timer = setTimeout(() => fail(new Failure([`nimiq-client made no block within ${NODE_START_MS / 1000} s`, ...tail].join('\n    '))), NODE_START_MS);
    });
    const stop = async () => {
        stopping = true;
        if (child.exitCode === null && child.signalCode === null) {
            child.kill('SIGTERM');
            const kill = setTimeout(() => child.kill('SIGKILL'), 5000);
            await closed;
            clearTimeout(kill);
        }
        await new Promise((done) => logFile.end(done));
    };
    try {
        await Promise.race([published, died, late]);
        return { address: `/ip4/127.0.0.1/tcp/${port}/ws`, died, stop };
    } catch (error) {
        await stop();
        throw error;
    } finally {
        clearTimeout(timer);
    }
}

/** A validator alone, with the keys that the network's genesis names. */
function nodeConfig(port, folder, keys) {
    return `[network]
listen_addresses = ["/ip4/127.0.0.1/tcp/${port}/ws"]
peer_key_file = ${JSON.stringify(join(folder, 'peer_key.dat'))}
seed_nodes = []
allow_loopback_addresses = true

[consensus]
network = "${NETWORK}"
sync_mode = "history"
min_peers = 0

[database]
path = ${JSON.stringify(join(folder, 'database'))}

[log]
level = "info"

[validator]
validator_address = "${keys.address}"
signing_key_file = ${JSON.stringify(join(folder, 'signing_key.dat'))}
signing_key = "${keys.signing}"
voting_key_file = ${JSON.stringify(join(folder, 'voting_key.dat'))}
voting_key = "${keys.voting}"
fee_key_file = ${JSON.stringify(join(folder, 'fee_key.dat'))}
fee_key = "${keys.fee}"
`;
}

/**
 * The test network's keys are public: they stand as comments in the genesis file that the nodes are built with. Each
 * `# secret_key` belongs to the line above it.
 */
function genesisKeys() {
    const metadata = JSON.parse(capture('cargo', ['metadata', '--format-version', '1', '--locked']) ?? '{}');
    const manifest = metadata.packages?.find(({ name }) => name === 'nimiq-genesis')?.manifest_path;
    const file = manifest && join(dirname(manifest), 'src', 'genesis', `${NETWORK}.toml`);
    if (!file || !existsSync(file)) throw new Failure('the genesis file of the test network was not found among the crates');
    const text = readFileSync(file, 'utf8');
    const validator = text.slice(text.indexOf('[[validators]]')).split(/\n\[\[(?!validators)/)[0];
    const secretAfter = (name) => {
        const found = validator.match(new RegExp(`^${name} = (?:"""[^]*?"""|"[^"]*")\\n# secret_key = "?([0-9a-f\\n# ]+)`, 'm'));
        return found?.[1].replace(/[^0-9a-f]/g, '');
    };
    const keys = {
        address: validator.match(/^validator_address = "([^"]+)"/m)?.[1],
        signing: secretAfter('signing_key'),
        voting: secretAfter('voting_key'),
        fee: secretAfter('reward_address'),
    };
    for (const [name, key] of Object.entries(keys)) if (!key) throw new Failure(`${file} has no ${name} key where it is expected`);
    return keys;
}

/** Syncs a page to the node, follows it and pays; rejects at the first thing that should not be. */
async function follow(browser, url, { name, address }, elections, keys) {
    const page = await browser.newPage();
    const tell = (line) => say(`  ${name}  ${line}`);
    // The account that validators are rewarded to is the one that is funded. Stake takes two elections to get out again.
    const wishes = { key: keys.fee, validator: keys.address, unstake: elections >= 2 };
    const over = { followed: false, paid: false };
    const states = [];
    const crossed = [];
    let heads = 0;
    let last = GENESIS;
    let verified = false;
    let silence;
    try {
        await new Promise((done, fail) => {
            const refuse = (message) => fail(new Failure(`${name.trim()}: ${message}`));
            const end = (what) => {
                over[what] = true;
                if (over.followed && over.paid) done();
            };
            const hear = (what) => {
                clearTimeout(silence);
                silence = setTimeout(() => refuse(`nothing for ${SILENCE_MS / 1000} s after ${what}`), SILENCE_MS);
            };
            page.on('pageerror', (error) => refuse(`the page threw: ${error.stack}`));
            page.on('crash', () => refuse('the page crashed'));
            const take = (event) => {
                if (event.ended) return refuse(`the client ended: ${JSON.stringify(event.error)}`);
                const established = states.at(-1) === 'established';
                if (event.type === 'consensus') {
                    states.push(event.state);
                    hear(event.state);
                    if (established) refuse(`consensus was lost: ${states.join(' → ')}`);
                } else if (event.type === 'fallback') {
                    refuse(`fell back: ${event.reason}`);
                } else if (event.type === 'macro-sync' && event.outcome !== 'good') {
                    refuse(`the node was found ${event.outcome}: ${event.reason}`);
                } else if (event.type === 'trust') {
                    verified ||= event.level === 'verified';
                } else if (event.type === 'macro-block' && event.election && established) {
                    if ((event.blockNumber - GENESIS) % EPOCH) refuse(`block ${event.blockNumber} is no election block`);
                    crossed.push(event.blockNumber);
                    tell(`election block ${event.blockNumber}, of epoch ${event.epoch}, after ${heads} live heads`);
                } else if (event.type === 'head') {
                    hear(`head ${event.blockNumber}`);
                    if (event.reverted.length) refuse(`block ${event.blockNumber} reverted others`);
                    if (established) {
                        heads += 1;
                        if (heads > 1 && event.blockNumber - last !== event.adopted.length) refuse(`between heads ${last} and ${event.blockNumber} something is missing`);
                    }
                    last = event.blockNumber;
                    // A few heads beyond the last election: the new epoch is followed, too.
                    if (crossed.length >= elections && event.blockNumber >= crossed.at(-1) + 3) end('followed');
                }
            };
            hear('the start');
            page.exposeBinding('feed', (_, event) => take(event))
                .then(() => page.goto(url))
                .then(() => page.waitForFunction(() => window.pico !== undefined))
                .then(() => page.evaluate((options) => window.pico.create('feed', options), { network: NETWORK, peers: [address], minPeers: 1, desiredPeers: 1 }))
                .then(({ error }) => (error ? refuse(`${error.code}: ${error.message}`) : payments(page, { ...wishes, tell }).then(() => end('paid'))))
                .catch(fail);
        });
    } finally {
        clearTimeout(silence);
    }
    if (states.join() !== 'syncing,established' && states.join() !== 'connecting,syncing,established') throw new Failure(`consensus went ${states.join(' → ')}`);
    if (!verified) throw new Failure('trust was not raised to verified');
    const peers = await page.evaluate(() => window.pico.clients[0].peers());
    if (peers.length !== 1 || peers[0].outcome !== 'good') throw new Failure(`${name}: no good peer: ${JSON.stringify(peers)}`);
    tell(`${heads} live heads, trust verified, no fallback`);
}

/** A port that is free now. */
function freePort() {
    return new Promise((done, fail) => {
        const probe = createServer().once('error', fail);
        probe.listen(0, '127.0.0.1', () => {
            const { port } = probe.address();
            probe.close(() => done(port));
        });
    });
}
