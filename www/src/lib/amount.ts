// Amounts, between people and the protocol: NIM with at most five decimals there, whole Luna here. Never floating point.

import { LUNA, nim } from './format.js';

const DECIMALS = 5;
/** All NIM that there can be, in Luna: 21 billion NIM. */
const SUPPLY = 2_100_000_000_000_000n;

/** What was typed, as Luna; or what is wrong with it, as a sentence. */
export type ParsedAmount = { luna: bigint; problem?: undefined } | { luna?: undefined; problem: string };

/**
 * Reads an amount in NIM: digits, groups of three parted by commas, spaces or apostrophes, and at most five decimals
 * after a point. A comma that parts no group is refused rather than guessed at: `1,5` may be meant as one and a half.
 */
export function parseAmount(text: string): ParsedAmount {
    const typed = text.trim().replace(/\s*NIM$/i, '');
    if (typed === '') return { problem: 'Enter an amount in NIM.' };
    if (/^-/.test(typed)) return { problem: 'An amount can’t be negative.' };
    const match = /^(\d+|\d{1,3}(?:[,\u0020\u00a0\u202f’']\d{3})+)?(?:\.(\d*))?$/.exec(typed);
    const [, whole = '', decimals = ''] = match ?? [];
    if (!match || (whole === '' && decimals === '')) {
        const comma = /^\d*,\d+$/.test(typed);
        return { problem: comma ? 'Use a point before the decimals, as in 1.5.' : 'An amount is a number, as in 12.5.' };
    }
    if (decimals.length > DECIMALS) return { problem: 'A NIM has at most five decimals.' };
    // Before it becomes a number: a thousand digits take their time.
    const digits = whole.replace(/\D/g, '').replace(/^0+/, '');
    if (digits.length > 11) return { problem: 'There are not so many NIM.' };
    const luna = BigInt(digits || '0') * LUNA + BigInt(decimals.padEnd(DECIMALS, '0'));
    if (luna > SUPPLY) return { problem: 'There are not so many NIM.' };
    return { luna };
}

/** With the unit: `12,345.678 NIM`. */
export const withUnit = (luna: bigint): string => `${nim(luna)} NIM`;

/** As it would be typed into a field: without groups. */
export const typedAmount = (luna: bigint): string => nim(luna).replaceAll(',', '');
