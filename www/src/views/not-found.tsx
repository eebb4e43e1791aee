// For addresses that lead nowhere.

import { ButtonLink } from '../ui/button.js';
import { Page } from '../ui/page.js';

export function NotFound() {
    return (
        <Page title="Nothing here">
            <div class="card empty">
                <svg class="lost" viewBox="0 0 96 84" aria-hidden="true">
                    <path d="M70 4H26L4 42l22 38h44l22-38z" />
                    <path class="lost-mark" d="M38 34c0-14 20-14 20-1 0 8-10 8-10 17M48 60h.01" />
                </svg>
                <p>No part of this wallet has that address. Maybe it was cut off, or the account in it is misspelt.</p>
                <ButtonLink kind="primary" href="#/">
                    To the wallet
                </ButtonLink>
            </div>
        </Page>
    );
}
