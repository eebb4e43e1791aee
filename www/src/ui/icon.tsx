// The drawings that stand beside words. All in one place, each a few strokes on a grid of 24.

const PATHS = {
    wallet: 'M3 7.5A2.5 2.5 0 0 1 5.5 5H18v3M3 7.5A2.5 2.5 0 0 0 5.5 10H19a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H6a3 3 0 0 1-3-3zM16.5 15h.01',
    network: 'M12 9.5 8.5 11.5v4l3.5 2 3.5-2v-4zM12 9.5V4M8.5 15.5 4 18M15.5 15.5 20 18M12 4h.01M4 18h.01M20 18h.01',
    settings: 'M4 7h9M19 7h1M4 17h1M11 17h9M16 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM8 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z',
    send: 'M7 17 17 7M8.5 7H17v8.5',
    receive: 'M17 7 7 17M15.5 17H7V8.5',
    stake: 'M12 3v18M12 8c0-3 2.5-5 6-5 0 3.5-2.5 5-6 5ZM12 14c0-3-2.5-5-6-5 0 3.5 2.5 5 6 5Z',
    copy: 'M9 9h9a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-7a2 2 0 0 1-2-2zM5 15a1.5 1.5 0 0 1-1-1.5V5a2 2 0 0 1 2-2h7.5A1.5 1.5 0 0 1 15 4',
    check: 'm5 12.5 4.5 4.5L19 7.5',
    cross: 'M6 6l12 12M18 6 6 18',
    alert: 'M12 8v5M12 16.5h.01M10.3 4 2.7 17.5A2 2 0 0 0 4.4 20.5h15.2a2 2 0 0 0 1.7-3L13.7 4a2 2 0 0 0-3.4 0Z',
    info: 'M12 11v5.5M12 7.5h.01M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z',
    lock: 'M6 11h12a1.5 1.5 0 0 1 1.5 1.5v7A1.5 1.5 0 0 1 18 21H6a1.5 1.5 0 0 1-1.5-1.5v-7A1.5 1.5 0 0 1 6 11ZM8 11V7.5a4 4 0 0 1 8 0V11',
    unlock: 'M6 11h12a1.5 1.5 0 0 1 1.5 1.5v7A1.5 1.5 0 0 1 18 21H6a1.5 1.5 0 0 1-1.5-1.5v-7A1.5 1.5 0 0 1 6 11ZM8 11V7.5A4 4 0 0 1 15.8 6',
    key: 'M14.5 12.5a4.5 4.5 0 1 0-3.1-1.2L3 19.7V21h3.5v-2.2h2.2v-2.2l2.5-2.5M15.5 8h.01',
    eye: 'M2.5 12C4.5 8 8 5.5 12 5.5S19.5 8 21.5 12c-2 4-5.5 6.5-9.5 6.5S4.5 16 2.5 12ZM15 12a3 3 0 1 1-6 0 3 3 0 0 1 6 0Z',
    plus: 'M12 5v14M5 12h14',
    back: 'M19 12H5M11 6l-6 6 6 6',
    next: 'm9 5 7 7-7 7',
    down: 'm5 9 7 7 7-7',
    shield: 'M12 3 4.5 6v5.5c0 4.5 3 8 7.5 9.5 4.5-1.5 7.5-5 7.5-9.5V6zM8.5 12l2.5 2.5 4.5-5',
    clock: 'M12 7v5.5l3.5 2M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z',
    offline: 'M3 3l18 18M8.5 15.5a5 5 0 0 1 6.5-.5M5 12a10 10 0 0 1 4-2.4M19 12a10 10 0 0 0-6-2.9M2 8.5a14.5 14.5 0 0 1 4-2.5M22 8.5A14.5 14.5 0 0 0 11 5M12 19.5h.01',
    refresh: 'M20 11a8 8 0 0 0-14.5-4L3 9.5M3 4v5.5h5.5M4 13a8 8 0 0 0 14.5 4l2.5-2.5M21 20v-5.5h-5.5',
    download: 'M12 4v11M7 10.5l5 5 5-5M4 20h16',
    faucet: 'M12 3.5c3 3.7 5.5 6.8 5.5 10a5.5 5.5 0 0 1-11 0c0-3.2 2.5-6.3 5.5-10Z',
    liar: 'M4 6c3 1.5 5.5 1.5 8 0 2.5 1.5 5 1.5 8 0 0 7-2 14-8 14S4 13 4 6ZM8 11.5h2M14 11.5h2M9.5 16.5a4 4 0 0 1 5 0',
    trash: 'M4 7h16M9 7V4.5h6V7M6 7l1 13h10l1-13M10 11v5.5M14 11v5.5',
} as const;

export type IconName = keyof typeof PATHS;

/** A drawing without a meaning of its own: the words next to it say what it is. */
export function Icon({ name, class: className }: { name: IconName; class?: string }) {
    return (
        <svg class={className ? `icon ${className}` : 'icon'} viewBox="0 0 24 24" aria-hidden="true">
            <path d={PATHS[name]} />
        </svg>
    );
}
