// An address as people compare it: nine blocks of four, of which the second half of the first is the checksum.

import { CopyButton } from './copy-button.js';

export function Address({ address, look = 'block', copy = false }: { address: string; /** `block`: three by three; `line`: in a line of text; `short`: its ends. */ look?: 'block' | 'line' | 'short'; copy?: boolean }) {
    const blocks = address.replaceAll(' ', '').match(/.{1,4}/g) ?? [];
    const plain = blocks.join(' ');
    const shown = look === 'short' && blocks.length > 4 ? [blocks[0], blocks[1], '…', blocks.at(-1)] : blocks;
    const text = (
        <span class={look === 'block' ? 'address' : `address mono ${look}`} title={look === 'short' ? plain : undefined}>
            {look === 'short'
                ? shown.join(' ')
                : shown.map((block, i) => (
                      // With spaces between them, so that what is selected and copied reads as it should.
                      <span key={i}>{i < shown.length - 1 ? `${block} ` : block}</span>
                  ))}
        </span>
    );
    if (!copy) return text;
    return (
        <span class="row">
            {text}
            <CopyButton text={plain} label="Copy address" />
        </span>
    );
}
