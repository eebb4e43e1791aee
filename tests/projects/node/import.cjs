// Importing, in both ways, does nothing: no global, no thread, no timer, and no output.

const before = { globals: Object.keys(globalThis), open: process.getActiveResourcesInfo() };
const required = [require('pico-sync-client'), require('pico-sync-client/wallet')].map((module) => Object.keys(module));
const check = async () => {
    const imported = await Promise.all(['pico-sync-client', 'pico-sync-client/wallet'].map((name) => import(name)));
    return {
        required,
        imported: imported.map((module) => Object.keys(module)),
        globals: Object.keys(globalThis).filter((name) => !before.globals.includes(name)),
        open: process.getActiveResourcesInfo().filter((name) => !before.open.includes(name)),
    };
};
check().then((result) => console.log(JSON.stringify(result)));
