// Turns what `wasm-bindgen --target web` writes into what the package ships.
//
// The generated module has one instance of the wasm, in variables of the module. A client needs one of its own: the rules
// of a network are global to an instance, and a panic makes it unusable. So the same code becomes the body of a function,
// which makes an instance at each call. It also gets its globals (`WebSocket`, `setTimeout`, …) handed in, so that
// whoever calls it knows what the instance has open, and can see each call into the wasm.

import { Failure } from './env.mjs';

/** Names that the glue finds in `host.globals` before it finds the real ones. */
const GLOBALS = ['WebSocket', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'queueMicrotask', 'globalThis', 'self', 'window'];

/** The glue as a module that exports `instantiate(module, host)`, and with `now` also `instantiateNow`, which doesn't wait. */
export function factory(glue, { now = false } = {}) {
    const start = glue.search(/^let wasmModule,.*\bwasm;$/m);
    const memoryResets = glue.match(/^ {4}cached\w+ = null;$/gm) ?? [];
    if (start < 0) throw unexpected('its initialisation was not found');
    const exported = [];
    const body = glue
        .slice(0, start)
        .replace(/^export (class|function) (\w+)/gm, (_, kind, name) => {
            exported.push(name);
            return `${kind} ${name}`;
        })
        .replace(/^export \{ (\w+) as (\w+) \};?$/gm, (_, inner, name) => {
            exported.push(inner === name ? name : `${name}: ${inner}`);
            return '';
        });
    const leftOver = body.match(/^\s*(import|export)\b.*$/m) ?? body.match(/import\.meta/);
    if (leftOver) throw unexpected(`\`${leftOver[0].trim()}\` was left over`);
    if (exported.length === 0) throw unexpected('it exports nothing');
    return `function prepare(host) {
const { ${GLOBALS.join(', ')} } = host.globals;
let wasm;
${body}
return {
    imports: __wbg_get_imports(),
    start(instance) {
        wasm = host.guard(instance.exports);
${[...new Set(memoryResets)].join('\n')}
        wasm.__wbindgen_start();
        return { ${exported.join(', ')} };
    },
};
}
export async function instantiate(module, host) {
    const { imports, start } = prepare(host);
    return start(await WebAssembly.instantiate(module, imports));
}
${now ? NOW : ''}`;
}

const NOW = `export function instantiateNow(module, host) {
    const { imports, start } = prepare(host);
    return start(new WebAssembly.Instance(module, imports));
}
`;

/** The typings of the client: `public`, the types that users see, and `core`, those of the factory. */
export function typings(declarations) {
    const marked = /^\/\/ <types>\n(.*?)^\/\/ <\/types>\n/gms;
    const types = [...declarations.matchAll(marked)].map((match) => match[1]).join('\n');
    if (!types) throw unexpected('its typings are laid out differently');
    const names = [...types.matchAll(/^export (?:type|interface) (\w+)/gm)].map((match) => match[1]);
    const header = '// Generated from the Rust sources of crate/client.\n\n';
    const imports = `import type { ${names.join(', ')} } from './types.js';\n\n`;
    return {
        public: header + types,
        core: header + imports + factoryTypings(declarations.replace(marked, ''), 'Core'),
    };
}

/** The typings of a factory, made with the same options: what it makes instances of is called `name`. */
export function factoryTypings(declarations, name, { now = false } = {}) {
    const end = declarations.search(/^export type InitInput\b/m);
    if (end < 0) throw unexpected('its typings are laid out differently');
    const body = declarations.slice(0, end);
    const exported = [...body.matchAll(/^export (?:class|function) (\w+)/gm)].map((match) => match[1]);
    return `${body.trim()}

/** What one instance exports. */
export interface ${name} {
${exported.map((item) => `    readonly ${item}: typeof ${item};`).join('\n')}
}

/** What an instance is given. */
export interface Host {
    /** Used in place of the real globals. */
    readonly globals: Record<string, unknown>;
    /** The exports as the glue is to see them. */
    guard(exports: WebAssembly.Exports): WebAssembly.Exports;
}

/** Makes an instance of its own from the compiled module. */
export function instantiate(module: WebAssembly.Module, host: Host): Promise<${name}>;
${now ? `/** The same, without waiting for it. */\nexport function instantiateNow(module: WebAssembly.Module, host: Host): ${name};\n` : ''}`;
}

function unexpected(what) {
    return new Failure(`The glue that wasm-bindgen made is not as expected: ${what}. scripts/lib/glue.mjs has to follow wasm-bindgen.`);
}
