// What the reference takes from elsewhere than the doc comments. Imports nothing: typedoc is installed in a folder of its own.

/** What people import, for each module, which typedoc names after the files of `dist/`. */
const MODULES = { index: 'pico-sync-client', wallet: 'pico-sync-client/wallet' };

export function load({ converter }) {
    const events = converter.constructor;
    // Guides are named after their files otherwise.
    converter.on(events.EVENT_CREATE_DOCUMENT, (_, document) => {
        // Text and inline code are parts of their own.
        const text = document.content.map((part) => part.text).join('');
        const heading = text.match(/^# (.+)\n/);
        if (heading) document.name = heading[1].replaceAll('`', '');
    });
    converter.on(events.EVENT_RESOLVE_BEGIN, ({ project }) => {
        for (const module of project.children ?? []) {
            module.name = MODULES[module.name] ?? module.name;
            for (const item of module.children ?? []) {
                // All of them are made by functions that say so; the typings can't but inherit a constructor.
                for (const made of (item.children ?? []).filter(({ name }) => name === 'constructor')) project.removeReflection(made);
            }
        }
    });
}
