// As much as is used of what the package meets outside of browsers. The types of Node would bring its globals, too, and the
// wrapper is to get by without those.

declare module 'node:fs/promises' {
    export function readFile(file: URL): Promise<Uint8Array<ArrayBuffer>>;
}

declare module 'node:worker_threads' {
    interface Events {
        message: unknown;
        messageerror: unknown;
        error: unknown;
        exit: number;
    }
    interface Port {
        on<T extends keyof Events>(type: T, listener: (value: Events[T]) => void): void;
        postMessage(message: unknown): void;
    }
    export interface Worker extends Port {}
    export class Worker {
        constructor(script: URL, options?: { name?: string });
        terminate(): Promise<number>;
    }
    export const parentPort: Port | null;
}

declare module 'ws' {
    export default class WebSocket {
        constructor(url: string | URL, protocols?: string | string[], options?: { perMessageDeflate?: boolean; closeTimeout?: number });
        on(type: 'error', listener: (error: unknown) => void): void;
    }
}
