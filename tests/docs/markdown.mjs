// Reads the repository's pages: their code, their links, their tables.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { root } from '../../scripts/lib/env.mjs';

/** Every page that people read, as paths from the root. */
export const PAGES = ['README.md', 'CHANGELOG.md', 'package/README.md', ...readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];

/** The text of a page. */
export const read = (page) => readFileSync(join(root, page), 'utf8');

/** The blocks of code in a page: `language`, the `line` (from 1) that the code begins in, and the `code`. */
export function fences(text) {
    const found = [];
    let open;
    for (const [i, line] of text.split('\n').entries()) {
        const mark = line.match(/^\s*```(\S*)/);
        if (open && mark) {
            found.push({ ...open, code: open.lines.join('\n') });
            open = undefined;
        } else if (open) {
            open.lines.push(line);
        } else if (mark) {
            open = { language: mark[1], line: i + 2, lines: [] };
        }
    }
    if (open) throw new Error(`the block of code before line ${open.line} does not end`);
    return found;
}

/** A page without what is code, line by line. */
export function prose(text) {
    let code = false;
    return text.split('\n').map((line) => {
        if (/^\s*```/.test(line)) {
            code = !code;
            return '';
        }
        return code ? '' : line.replace(/`[^`]*`/g, (inline) => '`'.repeat(2) + ' '.repeat(inline.length - 2));
    });
}

/** The anchors of a page, as GitHub makes them of headings. */
export function anchors(text) {
    const seen = new Map();
    const lines = prose(text);
    return text.split('\n').flatMap((line, i) => {
        const heading = lines[i] && line.match(/^#{1,6} (.+)$/)?.[1];
        if (!heading) return [];
        const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
        const slug = plain.replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replaceAll(' ', '-');
        const count = seen.get(slug) ?? 0;
        seen.set(slug, count + 1);
        return [count ? `${slug}-${count}` : slug];
    });
}

/** The rows of the tables whose head has these cells: each as its cells' texts, with its line (from 1). */
export function rows(text, head) {
    const found = [];
    let inside = false;
    for (const [i, line] of text.split('\n').entries()) {
        // A bar in a cell is written `\|`.
        const cells = line.startsWith('|') ? line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim().replaceAll('\\|', '|')) : undefined;
        if (!cells) inside = false;
        else if (head.every((name, column) => cells[column] === name)) inside = true;
        else if (inside && !/^:?-+:?$/.test(cells[0])) found.push({ cells, line: i + 1 });
    }
    return found;
}
