// What happens to the page that a client lives in: it goes offline, out of sight, is frozen, or the machine sleeps. The
// client is told, for it can't tell by itself: while a page does not run, nothing in it notices.

/** Between two looks at the clocks. Milliseconds. */
const HEARTBEAT = 1_000;
/** A look that comes so much too late, or a clock that went back as far, means that time was missed. Milliseconds. */
const JUMP = 5_000;

/** Who is told. */
export interface Listener {
    /** The browser has lost, or regained, its network. */
    online(online: boolean): void;
    /** The page runs again, or some time may have passed unnoticed: `frozenMs` for sure. */
    wake(frozenMs: number): void;
    /** The page may be about to go. */
    leaving(): void;
}

/** Tells `listener` what becomes of the page, or of the worker. Returns how to stop that. */
export function watchPage(listener: Listener): () => void {
    const stop = new AbortController();
    const page = typeof document === 'undefined' ? undefined : document;
    // Node has nothing to tell: its global object takes no listeners.
    const on = (target: Partial<EventTarget>, type: string, react: (event: Event) => void) =>
        target.addEventListener?.(type, react, { signal: stop.signal });

    /** When the page stopped running, if it has. */
    let frozenAt: number | undefined;
    const thaw = () => {
        const frozenMs = frozenAt === undefined ? 0 : Math.max(0, Date.now() - frozenAt);
        frozenAt = undefined;
        listener.wake(frozenMs);
    };
    on(globalThis, 'offline', () => listener.online(false));
    on(globalThis, 'online', () => listener.online(true));
    if (page) {
        on(page, 'visibilitychange', () => {
            // Timers hardly run in a page out of sight, and it may be the last that is heard of it.
            if (page.visibilityState !== 'visible') return listener.leaving();
            if (navigator.onLine) listener.online(true);
            listener.wake(0);
        });
        on(page, 'freeze', () => {
            frozenAt = Date.now();
            listener.leaving();
        });
        on(page, 'resume', thaw);
        on(globalThis, 'pagehide', (event) => {
            if ((event as PageTransitionEvent).persisted) frozenAt ??= Date.now();
            listener.leaving();
        });
        on(globalThis, 'pageshow', (event) => {
            if ((event as PageTransitionEvent).persisted) thaw();
        });
    }

    // A machine that sleeps sends no event. The monotonic clock may sleep with it, the other one does not.
    let [wall, steady] = [Date.now(), performance.now()];
    const timer = setInterval(() => {
        const [passed, passedSteadily] = [Date.now() - wall, performance.now() - steady];
        [wall, steady] = [wall + passed, steady + passedSteadily];
        if (passed > JUMP || passedSteadily > JUMP || passed < -JUMP) listener.wake(0);
    }, HEARTBEAT);
    return () => {
        stop.abort();
        clearInterval(timer);
    };
}
