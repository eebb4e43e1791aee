// Bytes that travel as text, in modules.

/** The bytes that `text` is the base64 of. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
    const characters = atob(text);
    const bytes = new Uint8Array(characters.length);
    for (let i = 0; i < bytes.length; i += 1) bytes[i] = characters.charCodeAt(i);
    return bytes;
}
