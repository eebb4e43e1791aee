// Amounts: kept in Luna, shown in NIM.

import { nim } from '../lib/format.js';

/** `1,234.56 NIM`. `sign` puts a plus before what was received. `fixed` shows all five decimals. */
export function Amount({ luna, sign = false, fixed = false, class: extra, ...rest }: { luna: bigint; sign?: boolean; fixed?: boolean; class?: string; 'data-testid'?: string }) {
    const [whole, fraction] = nim(luna, { fixed }).split('.');
    return (
        <span {...rest} class={extra ? `amount ${extra}` : 'amount'}>
            {sign && luna > 0n ? '+' : ''}
            {whole}
            {fraction && <span class="fraction">.{fraction}</span>} <span class="unit">NIM</span>
        </span>
    );
}
