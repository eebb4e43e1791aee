// Medians and spreads, and how numbers read in a table.

/** The middle one of `values`; of an even number, the mean of the two. */
export function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** `1.23 s (1.10–1.57)`: the median, and the least and the most. `scale` divides, `digits` after the point. */
export function spread(values, { scale = 1, digits = 0, unit }) {
    const known = values.filter((value) => value !== undefined);
    if (!known.length) return '–';
    const text = (value) => (value / scale).toFixed(digits);
    const [least, most] = [Math.min(...known), Math.max(...known)].map(text);
    return least === most ? `${text(median(known))} ${unit}` : `${text(median(known))} ${unit} (${least}–${most})`;
}

/** A Markdown table with aligned columns; all but the first to the right. */
export function table(rows) {
    const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => [...row[i]].length)));
    const pad = (text, i) => (i ? text.padStart(widths[i] + text.length - [...text].length) : text.padEnd(widths[i]));
    const lines = rows.map((row) => `| ${row.map(pad).join(' | ')} |`);
    const rule = `|${widths.map((width, i) => (i ? `${'-'.repeat(width + 1)}:` : `${'-'.repeat(width + 2)}`)).join('|')}|`;
    return [lines[0], rule, ...lines.slice(1)].join('\n');
}
