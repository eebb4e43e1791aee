// Guides are named after their files otherwise, and the modules after the files of `dist/`. Imports nothing: typedoc is
// installed elsewhere.

/** What people import, for each module. */
const MODULES = { index: 'pico-sync-client', wallet: 'pico-sync-client/wallet' };

export function load({ converter }) {
    const events = converter.constructor;
    converter.on(events.EVENT_CREATE_DOCUMENT, (_, document) => {
        const [first] = document.content;
        const heading = first?.text.match(/^# (.+)\n+/);
        if (!heading) return;
        document.name = heading[1].replaceAll('`', '');
        // The page has it as its title.
        first.text = first.text.slice(heading[0].length);
    });
    converter.on(events.EVENT_RESOLVE_BEGIN, (context) => {
        for (const module of context.project.children ?? []) module.name = MODULES[module.name] ?? module.name;
    });
}
