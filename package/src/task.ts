// Tasks of the event loop, for work that is not to be done in one go. They begin soon, also in a page out of sight, where timers
// are held back for a second.

/** What Node's ports have beside those of browsers: an open one keeps a process alive, unless told otherwise. */
type NodePort = MessagePort & { ref?(): void; unref?(): void };

const waiting: (() => void)[] = [];
let port: MessagePort | undefined;
let inbox: NodePort | undefined;

/** Has `work` done in a task of its own, after what has been asked for before. */
export function soon(work: () => void): void {
    if (!port || !inbox) {
        const channel = new MessageChannel();
        port = channel.port2;
        inbox = channel.port1;
        inbox.onmessage = next;
    }
    waiting.push(work);
    inbox.ref?.();
    port.postMessage(null);
}

/** Resolves in a task of its own. */
export function nextTask(): Promise<void> {
    return new Promise(soon);
}

function next(): void {
    const work = waiting.shift();
    if (waiting.length === 0) inbox?.unref?.();
    work?.();
}
