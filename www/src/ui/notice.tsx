// Something to know, or to do something about.

import type { ComponentChildren } from 'preact';

import { Icon, type IconName } from './icon.js';

const ICONS: Record<string, IconName> = { calm: 'info', good: 'check', warn: 'alert', bad: 'alert' };

/**
 * What is wrong (`bad`) interrupts those who hear the page, unless `live` says otherwise; the rest is told when there is a pause.
 * `live="off"` is for what stood there from the start.
 */
export function Notice({
    tone = 'calm',
    title,
    icon,
    live,
    actions,
    children,
}: {
    tone?: 'calm' | 'good' | 'warn' | 'bad';
    title?: string;
    icon?: IconName;
    live?: 'status' | 'alert' | 'off';
    actions?: ComponentChildren;
    children?: ComponentChildren;
}) {
    const role = live ?? (tone === 'bad' ? 'alert' : 'status');
    return (
        <div class={`notice ${tone}`} role={role === 'off' ? undefined : role}>
            <Icon name={icon ?? ICONS[tone]} />
            <div>
                {title && <strong>{title}</strong>}
                {children}
            </div>
            {actions}
        </div>
    );
}
