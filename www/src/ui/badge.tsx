// A word or two about a state, on a ground that goes with it.

import type { ComponentChildren } from 'preact';

import { Icon, type IconName } from './icon.js';

export type Tone = 'plain' | 'good' | 'warn' | 'bad' | 'calm';

export function Badge({ tone = 'plain', icon, title, children }: { tone?: Tone; icon?: IconName; title?: string; children: ComponentChildren }) {
    return (
        <span class={`badge ${tone}`} title={title}>
            {icon && <Icon name={icon} />}
            {children}
        </span>
    );
}
