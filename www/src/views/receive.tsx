// What others need to pay to this account.

import { useState } from 'preact/hooks';

import { inPath } from '../app/router.js';
import { inWords } from '../lib/errors.js';
import { Address } from '../ui/address.js';
import { Button } from '../ui/button.js';
import { CopyButton } from '../ui/copy-button.js';
import { Identicon } from '../ui/identicon.js';
import { Notice } from '../ui/notice.js';
import { Page } from '../ui/page.js';
import { QrCode } from '../ui/qr-code.js';
import { OwnAccount } from './parts/own-account.js';

export function Receive({ address }: { address: string }) {
    const [problem, tell] = useState<string>();
    const share = async () => {
        tell(undefined);
        try {
            await navigator.share({ title: 'Nimiq address', text: address });
        } catch (error) {
            // Who changes their mind did nothing wrong.
            if (!(error instanceof DOMException && error.name === 'AbortError')) tell(`It can’t be shared from here: ${inWords(error)}`);
        }
    };
    return (
        <OwnAccount address={address}>
            {({ label }) => (
                <Page title="Receive" back={{ to: `/account/${inPath(address)}`, text: label }}>
                    <div class="card stack center">
                        <div class="row">
                            <Identicon address={address} size={3} />
                            <b>{label}</b>
                        </div>
                        <QrCode text={address.replaceAll(' ', '')} label={`QR code of the address ${address}`} />
                        <Address address={address} />
                        <div class="row">
                            <CopyButton text={address} label="Copy address" small={false} />
                            {'share' in navigator && (
                                <Button icon="send" onClick={() => void share()}>
                                    Share
                                </Button>
                            )}
                        </div>
                        {problem && <Notice tone="bad">{problem}</Notice>}
                        <p class="soft small">Whoever pays can compare the picture: each address has its own.</p>
                    </div>
                </Page>
            )}
        </OwnAccount>
    );
}
