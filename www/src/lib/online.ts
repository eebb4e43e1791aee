// Whether this device says it has a network. That it says so doesn't mean that peers can be reached.

import { signal } from '@preact/signals';

export const online = signal(navigator.onLine);
addEventListener('online', () => (online.value = true));
addEventListener('offline', () => (online.value = false));
