// What the wallet's tests share: the built module, a window into its memory, and inputs to try.

import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { DIST } from '../package/support.mjs';

/** The networks of the public API, with their ids in transactions. */
export const NETWORKS = { 'main-albatross': 24, 'test-albatross': 5, 'dev-albatross': 6, 'unit-albatross': 7 };
/** All NIM there can be, in Luna. */
export const SUPPLY = 2_100_000_000_000_000n;

let loading;

/** The wallet, as Node imports it from the built package, with the memory of its wasm. */
export function loadWallet() {
    loading ??= (async () => {
        const wallet = await import(pathToFileURL(join(DIST, 'embedded', 'wallet.js')));
        // It makes its instance at the first use.
        const { Instance } = WebAssembly;
        let memory;
        WebAssembly.Instance = function (...args) {
            const instance = new Instance(...args);
            ({ memory } = instance.exports);
            return instance;
        };
        try {
            wallet.isValidAddress('');
            return { wallet, memory };
        } finally {
            WebAssembly.Instance = Instance;
        }
    })();
    return loading;
}

/** How often `bytes` occur in the wasm's memory. */
export function occurrences(memory, bytes) {
    const all = Buffer.from(memory.buffer);
    let count = 0;
    for (let at = all.indexOf(bytes); at >= 0; at = all.indexOf(bytes, at + 1)) count += 1;
    return count;
}

/**
 * Numbers that look random and come again with the same seed (mulberry32). The seed is taken from `WALLET_TEST_SEED`
 * if that is set, and printed by whoever makes one.
 */
export class Generator {
    constructor(seed = Number(process.env.WALLET_TEST_SEED ?? randomInt(2 ** 32))) {
        this.seed = seed >>> 0;
        this.state = this.seed;
    }

    /** From 0, below `n` (at most 2^32). */
    below(n) {
        this.state = (this.state + 0x6d2b79f5) >>> 0;
        let t = this.state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
    }

    bytes(length) {
        return Uint8Array.from({ length }, () => this.below(256));
    }

    pick(items) {
        return items[this.below(items.length)];
    }

    /** Between the two, often at an end or of another magnitude. */
    luna(min, max) {
        const edge = this.below(8);
        if (edge === 0) return min;
        if (edge === 1) return max;
        const bits = BigInt(this.below(52));
        const value = (BigInt(this.below(2 ** 32)) << 32n) | BigInt(this.below(2 ** 32));
        return min + (value & ((1n << bits) - 1n)) % (max - min + 1n);
    }

    blockNumber() {
        return this.pick([0, 1, 2 ** 31, 2 ** 32 - 1, this.below(2 ** 16), this.below(2 ** 32)]);
    }

    /** Text of at most so many bytes in UTF-8, of characters of every length. */
    text(maxBytes) {
        const wanted = this.below(maxBytes + 1);
        let text = '';
        for (;;) {
            const [from, to] = this.pick([[0x20, 0x7e], [0x20, 0x7e], [0xa0, 0x7ff], [0x800, 0xd7ff], [0x1f300, 0x1faff]]);
            const next = text + String.fromCodePoint(from + this.below(to - from + 1));
            if (Buffer.byteLength(next) > wanted) return text;
            text = next;
        }
    }
}
