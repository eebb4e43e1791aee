// Addresses as they are typed: upper or lower case, with spaces or without.

import type { WalletModule } from './wallet.js';

/** Letters and digits of one, without spaces. */
const LENGTH = 36;

/** As people read it: nine blocks of four, upper case. What is no address is grouped all the same. */
export function tidyAddress(typed: string): string {
    const plain = typed.replace(/\s+/g, '').toUpperCase();
    return (plain.match(/.{1,4}/g) ?? []).join(' ');
}

/**
 * What is wrong with an address so far, as a sentence. `complete`: nobody goes on typing. Without the `wallet`, which checks
 * the check digits, only what can be seen.
 */
export function addressProblem(typed: string, wallet: WalletModule | undefined, complete: boolean): string | undefined {
    const plain = typed.replace(/\s+/g, '').toUpperCase();
    if (plain === '') return complete ? 'Enter an address.' : undefined;
    // Forms that the package reads, and that nobody shows to people.
    if (!'NQ'.startsWith(plain.slice(0, 2))) return 'A Nimiq address begins with NQ.';
    const odd = /[^0-9A-HJ-NP-VXY]/.exec(plain.slice(2));
    // I, O, W and Z are no digits of Nimiq's base 32.
    if (odd) return `“${odd[0]}” is in no Nimiq address.`;
    if (plain.length > LENGTH) return `This is too long: an address has ${LENGTH} letters and digits.`;
    if (plain.length < LENGTH) return complete ? `This is too short: an address has ${LENGTH} letters and digits.` : undefined;
    if (wallet && !wallet.isValidAddress(plain)) return 'A letter or digit is wrong: the check digits don’t fit.';
    return undefined;
}

/** Whether it is an address, as far as can be known without the wallet's part of the package. */
export function isAddress(typed: string, wallet: WalletModule | undefined): boolean {
    return wallet !== undefined && addressProblem(typed, wallet, true) === undefined;
}
