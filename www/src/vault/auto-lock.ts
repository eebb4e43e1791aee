// Locks the wallet when nobody seems to be there: after some minutes without a key or a pointer, sooner while the page is
// hidden. By the clock and not by timers alone, as a machine that sleeps runs none.

import { effect, signal } from '@preact/signals';

import { setSetting, setting } from './store.js';
import { lock, status } from './vault.js';

/** What can be chosen, in minutes. */
export const IDLE_CHOICES = [1, 5, 10, 30, 60] as const;
const DEFAULT_MINUTES = 10;
/** A hidden page is locked after so many minutes at most. */
const HIDDEN_MINUTES = 5;
const SETTING = 'idle-minutes';
const MINUTE = 60_000;

/** After how many minutes without a sign of life the wallet locks. */
export const idleMinutes = signal<number>(DEFAULT_MINUTES);

/** Reads what was chosen earlier. */
export async function loadIdleMinutes(): Promise<void> {
    const kept = await setting(SETTING);
    if (IDLE_CHOICES.some((choice) => choice === kept)) idleMinutes.value = kept as number;
}

export async function setIdleMinutes(minutes: number): Promise<void> {
    idleMinutes.value = minutes;
    await setSetting(SETTING, minutes);
}

/** When the wallet is to be locked. Times in Unix ms, `hiddenSince` only while the page is hidden. */
export function deadline(lastSign: number, hiddenSince: number | undefined, minutes: number): number {
    const idle = lastSign + minutes * MINUTE;
    return hiddenSince === undefined ? idle : Math.min(idle, hiddenSince + Math.min(minutes, HIDDEN_MINUTES) * MINUTE);
}

/** Watches from now on, whenever the wallet is unlocked. Returns how to stop. */
export function watchIdleness(): () => void {
    let lastSign = Date.now();
    let hiddenSince: number | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;

    const look = () => {
        clearTimeout(timer);
        timer = undefined;
        if (status.peek() !== 'unlocked') return;
        const left = deadline(lastSign, hiddenSince, idleMinutes.peek()) - Date.now();
        // Another tab may be in use: it is left alone.
        if (left <= 0) lock({ everywhere: false });
        else timer = setTimeout(look, left);
    };
    const sign = () => {
        // Too late: what comes after a sleep must not count before that is noticed.
        if (timer !== undefined && Date.now() >= deadline(lastSign, hiddenSince, idleMinutes.peek())) return look();
        lastSign = Date.now();
    };
    const visibility = () => {
        if (document.visibilityState === 'hidden') hiddenSince ??= Date.now();
        look();
        if (document.visibilityState === 'visible') hiddenSince = undefined;
        look();
    };
    const options = { capture: true, passive: true };
    const signs = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'] as const;
    for (const name of signs) addEventListener(name, sign, options);
    document.addEventListener('visibilitychange', visibility);
    const stopWatching = effect(() => {
        void idleMinutes.value;
        if (status.value === 'unlocked') lastSign = Date.now();
        look();
    });
    return () => {
        stopWatching();
        clearTimeout(timer);
        for (const name of signs) removeEventListener(name, sign, options);
        document.removeEventListener('visibilitychange', visibility);
    };
}
