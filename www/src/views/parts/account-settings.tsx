// One account among the settings: its name, what can be shown of it to who knows the password, and how to be rid of it.

import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import { toHex } from '../../lib/hex.js';
import { go, inPath } from '../../app/router.js';
import { inWords } from '../../lib/errors.js';
import { forgetKnown } from '../../state/accounts.js';
import { forgetHistory } from '../../state/history.js';
import { keepNext } from '../../vault/derive.js';
import type { AccountRecord } from '../../vault/store.js';
import { exported, forget, rename } from '../../vault/vault.js';
import { Button } from '../../ui/button.js';
import { Check, Field } from '../../ui/field.js';
import { CopyButton } from '../../ui/copy-button.js';
import { Dialog } from '../../ui/dialog.js';
import { Notice } from '../../ui/notice.js';
import { AccountLine, nextLabel } from './own-account.js';
import { WordList } from './word-list.js';

type What = 'rename' | 'words' | 'key' | 'forget';

export function AccountSettings({ account }: { account: AccountRecord }) {
    const { address, label, kind, words } = account;
    const [open, show] = useState<What>();
    const [problem, tell] = useState<string>();
    const [busy, work] = useState(false);
    const close = () => show(undefined);
    const another = async () => {
        if (!words) return;
        work(true);
        tell(undefined);
        try {
            go(`/account/${inPath(await keepNext(words.id, nextLabel()))}`);
        } catch (error) {
            tell(inWords(error));
            work(false);
        }
    };
    const button = (what: What, text: string) => (
        <Button small kind={what === 'forget' ? 'danger' : 'secondary'} label={`${text}: ${label}`} onClick={() => show(what)}>
            {text}
        </Button>
    );
    return (
        <div class="stack tight">
            <AccountLine address={address} label={label} />
            <div class="row">
                {button('rename', 'Rename')}
                {words && button('words', 'Show words')}
                {kind === 'key' && button('key', 'Show private key')}
                {words && (
                    <Button small busy={busy} label={`Next account of the same words: ${label}`} onClick={() => void another()}>
                        Next account of the same words
                    </Button>
                )}
                {button('forget', 'Forget')}
            </div>
            {problem && <Notice tone="bad">{problem}</Notice>}
            {open === 'rename' && <Rename account={account} onClose={close} />}
            {open === 'words' && words && <Reveal kind="words" id={words.id} title={`Words of ${label}`} onClose={close} />}
            {open === 'key' && <Reveal kind="key" id={address} title={`Private key of ${label}`} onClose={close} />}
            {open === 'forget' && <Forget account={account} onClose={close} />}
        </div>
    );
}

function Rename({ account: { address, label }, onClose }: { account: AccountRecord; onClose: () => void }) {
    const [name, type] = useState(label);
    const [problem, tell] = useState<string>();
    const submit = async (event: SubmitEvent) => {
        event.preventDefault();
        if (name.trim() === '') return tell('Enter a name.');
        try {
            await rename(address, name.trim());
            onClose();
        } catch (error) {
            tell(inWords(error));
        }
    };
    return (
        <Dialog open onClose={onClose} title="Rename the account">
            <form class="stack" onSubmit={(event) => void submit(event)}>
                <Field label="Name" value={name} onInput={type} error={problem} maxLength={40} autocomplete="off" autofocus />
                <Button type="submit" kind="primary">
                    Rename
                </Button>
            </form>
        </Dialog>
    );
}

/** A secret, after the password was asked for once more. It is gone from the page with the dialog. */
function Reveal({ kind, id, title, onClose }: { kind: 'words' | 'key'; id: string; title: string; onClose: () => void }) {
    const [password, type] = useState('');
    const [busy, work] = useState(false);
    const [problem, tell] = useState<string>();
    const [bytes, show] = useState<Uint8Array>();
    useEffect(() => () => void bytes?.fill(0), [bytes]);
    const submit = async (event: SubmitEvent) => {
        event.preventDefault();
        if (busy) return;
        work(true);
        tell(undefined);
        try {
            show(await exported(kind, id, password));
            type('');
        } catch (error) {
            tell(inWords(error));
        } finally {
            work(false);
        }
    };
    return (
        <Dialog open onClose={onClose} title={title}>
            {bytes ? (
                <Secret bytes={bytes} kind={kind} />
            ) : (
                <form class="stack" onSubmit={(event) => void submit(event)}>
                    <p>Whoever sees this has the account. Make sure that nobody looks over your shoulder.</p>
                    <Field label="Password" type="password" value={password} onInput={type} error={problem} autocomplete="current-password" autofocus />
                    <Button type="submit" kind="primary" icon="eye" busy={busy}>
                        Show
                    </Button>
                </form>
            )}
        </Dialog>
    );
}

function Secret({ bytes, kind }: { bytes: Uint8Array; kind: 'words' | 'key' }): ComponentChildren {
    if (kind === 'words') {
        return <WordList words={new TextDecoder().decode(bytes).split(' ')} />;
    }
    const hex = () => toHex(bytes);
    return (
        <>
            <p class="mono wrap" data-testid="private-key">
                {hex()}
            </p>
            <Notice tone="warn" live="off">
                What is copied can be read by other programs on this device.
            </Notice>
            <CopyButton text={hex} label="Copy private key" />
        </>
    );
}

function Forget({ account: { address, label, kind }, onClose }: { account: AccountRecord; onClose: () => void }) {
    const [sure, swear] = useState(kind === 'watch');
    const [problem, tell] = useState<string>();
    const submit = async () => {
        try {
            await forget(address);
            await forgetHistory(address);
            await forgetKnown(address);
        } catch (error) {
            tell(inWords(error));
        }
    };
    return (
        <Dialog
            open
            onClose={onClose}
            title={`Forget ${label}`}
            actions={
                <>
                    <Button onClick={onClose}>Keep it</Button>
                    <Button kind="danger" icon="trash" disabled={!sure} onClick={() => void submit()}>
                        Forget
                    </Button>
                </>
            }
        >
            <AccountLine address={address} />
            <p>{kind === 'watch' ? 'It is no longer watched here. Nothing else happens to it.' : 'Its key is removed from this browser. It can be imported again from its words or its key; without them, what is in it is lost.'}</p>
            {kind === 'key' && <Check label="I have its words or its key, or don’t need it any more" checked={sure} onChange={swear} />}
            {problem && <Notice tone="bad">{problem}</Notice>}
        </Dialog>
    );
}
