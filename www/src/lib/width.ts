// How wide an element is, for drawings whose texts must not shrink with them.

import type { RefObject } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

/** A ref for the element, and its width in px: `initial` until it is on the page. */
export function useWidth<T extends Element>(initial: number): [RefObject<T | null>, number] {
    const ref = useRef<T | null>(null);
    const [width, set] = useState(initial);
    useLayoutEffect(() => {
        const element = ref.current;
        if (!element) return;
        set(element.clientWidth || initial);
        const observer = new ResizeObserver(() => set(element.clientWidth || initial));
        observer.observe(element);
        return () => observer.disconnect();
    }, []);
    return [ref, width];
}
