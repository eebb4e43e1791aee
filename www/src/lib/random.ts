// Chance, where it must not be guessed.

/** A whole number from 0, below `n` (at most 2^32), each as likely. */
export function randomBelow(n: number): number {
    const limit = 2 ** 32 - (2 ** 32 % n);
    const one = new Uint32Array(1);
    do crypto.getRandomValues(one);
    while (one[0] >= limit);
    return one[0] % n;
}
