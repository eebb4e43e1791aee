// The face of an address. What draws it is larger than the rest of the page, so it comes when the first one is shown.

import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';

type Draw = (address: string) => string;

const draw = signal<Draw | undefined>(undefined);
let asked = false;

/** Loads what draws; a page that can't get it shows plain hexagons. */
function load(): void {
    if (asked) return;
    asked = true;
    import('identicons-esm').then(
        // Its own check of addresses would write to the console about those that are still being typed.
        ({ createIdenticon }) => (draw.value = (address) => createIdenticon(address, { shouldValidateAddress: false })),
        (error: unknown) => {
            asked = false;
            console.warn('identicons can’t be drawn:', error);
        },
    );
}

/** `size` in rem, default 3. It says nothing that the address next to it doesn't, so it is not read aloud. */
export function Identicon({ address, size = 3 }: { address: string; size?: number }) {
    const [src, show] = useState('');
    const known = draw.value;
    useEffect(() => {
        load();
        const plain = address.replaceAll(' ', '').toUpperCase();
        show(known && plain ? known((plain.match(/.{1,4}/g) ?? []).join(' ')) : '');
    }, [address, known]);
    return (
        <span class="identicon" aria-hidden="true" style={{ '--identicon': `${size}rem` }}>
            {src ? <img src={src} alt="" width={160} height={160} /> : <span class="identicon-none" />}
        </span>
    );
}
