// `node scripts/icons.mjs`: draws the PNG icons of the page from the shapes of its logo. They are committed; run it when the logo changes.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { launchBrowser } from './lib/browser.mjs';
import { main, root, say } from './lib/env.mjs';

const LOGO = '<path fill="#e9a00c" d="M23 1H9L1.5 14 9 27h14l7.5-13z"/><path fill="#1f2348" d="M19.5 8h-7L9 14l3.5 6h7l3.5-6z"/>';

/** File, width in pixels, and how much of it the logo takes; an icon with a ground of its own may be cut to any shape. */
const ICONS = [
    { file: 'icon-192.png', size: 192, part: 0.94 },
    { file: 'icon-512.png', size: 512, part: 0.94 },
    { file: 'icon-maskable.png', size: 512, part: 0.58, ground: '#1f2348' },
    { file: 'icon-apple.png', size: 180, part: 0.66, ground: '#1f2348' },
];

main(async () => {
    const browser = await launchBrowser();
    try {
        for (const { file, size, part, ground } of ICONS) {
            const page = await browser.newPage({ viewport: { width: size, height: size } });
            const width = Math.round(size * part);
            await page.setContent(
                `<body style="margin:0;display:grid;place-items:center;height:100vh;background:${ground ?? 'transparent'}">` +
                    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="1 0.5 30 27" width="${width}">${ground ? LOGO.replace('#1f2348', ground) : LOGO}</svg>`,
            );
            const path = join(root, 'www', 'public', file);
            writeFileSync(path, await page.screenshot({ omitBackground: true }));
            say(`written to ${path}`);
            await page.close();
        }
    } finally {
        await browser.close();
    }
});
