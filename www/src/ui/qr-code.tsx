// A text as a QR code, black on white in the dark, too: some scanners know no other.

import { useEffect, useState } from 'preact/hooks';

/** `label` says what is in it to those who can't see it. */
export function QrCode({ text, label }: { text: string; label: string }) {
    const [path, draw] = useState<{ size: number; d: string }>();
    useEffect(() => {
        let wanted = true;
        import('qr').then(
            ({ encodeQR }) => {
                if (wanted) draw(outline(encodeQR(text, 'raw', { ecc: 'medium', border: 1 })));
            },
            (error: unknown) => console.warn('the QR code can’t be drawn:', error),
        );
        return () => {
            wanted = false;
        };
    }, [text]);
    return (
        <div class="qr">
            <svg viewBox={`0 0 ${path?.size ?? 1} ${path?.size ?? 1}`} role="img" aria-label={label} shape-rendering="crispEdges">
                {path && <path fill="currentColor" d={path.d} />}
            </svg>
        </div>
    );
}

/** One path for all: a row's neighbours as one rectangle. */
function outline(rows: boolean[][]): { size: number; d: string } {
    let d = '';
    rows.forEach((row, y) => {
        for (let x = 0; x < row.length; x += 1) {
            if (!row[x]) continue;
            const from = x;
            while (row[x + 1]) x += 1;
            d += `M${from} ${y}h${x - from + 1}v1h-${x - from + 1}z`;
        }
    });
    return { size: rows.length, d };
}
