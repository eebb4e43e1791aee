// Messages of payments: public text of at most 64 bytes.

/** How many bytes of UTF-8 a message may take. */
export const MAX_MESSAGE_BYTES = 64;

/** How many bytes a message takes. */
export const byteLength = (text: string): number => new TextEncoder().encode(text).length;

/** What in `text` no transaction can carry, as a sentence. */
export function messageProblem(text: string): string | undefined {
    if (/\p{Surrogate}/u.test(text)) return 'A character of the message is incomplete.';
    const over = byteLength(text) - MAX_MESSAGE_BYTES;
    return over > 0 ? `The message is ${over} ${over === 1 ? 'byte' : 'bytes'} too long.` : undefined;
}

/** What a payment carries, as text; `undefined` if it carries nothing, or nothing that reads as text. `data` is hex. */
export function messageOf(data: string): string | undefined {
    if (!data) return undefined;
    const bytes = Uint8Array.from(data.match(/../g) ?? [], (two) => parseInt(two, 16));
    try {
        const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
        // Control characters, and those that turn the direction of what stands around them.
        return /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(text.replace(/[\n\t]/g, '')) ? undefined : text;
    } catch (error) {
        // Not text: that is nothing to report.
        if (error instanceof TypeError) return undefined;
        throw error;
    }
}
