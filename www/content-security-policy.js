// What the page may do: its own files, wasm, workers, pictures it makes itself, and WebSockets to any peer. It stands in the
// built page, so that it holds wherever that is hosted; a server that sends it, too, covers the workers.

/** The policy in a page. */
export const PAGE_POLICY = [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    "worker-src 'self'",
    "manifest-src 'self'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    "connect-src 'self' ws: wss:",
    "base-uri 'none'",
    "form-action 'none'",
].join('; ');

/** The policy in a header: who may put the page into a frame can't be said in the page itself. */
export const CONTENT_SECURITY_POLICY = `${PAGE_POLICY}; frame-ancestors 'none'`;
