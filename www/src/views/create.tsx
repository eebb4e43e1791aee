// A new account: its words are made, shown, asked for, and then it is kept.

import { useEffect, useState } from 'preact/hooks';

import { go, inPath } from '../app/router.js';
import { inWords } from '../lib/errors.js';
import { loadWallet, type Mnemonic } from '../lib/wallet.js';
import { randomBelow } from '../lib/random.js';
import { accountPath, keepDerived } from '../vault/derive.js';
import { Button } from '../ui/button.js';
import { Choices, Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';
import { Page } from '../ui/page.js';
import { Keep, Unavailable } from './parts/keep.js';
import { nextLabel } from './parts/own-account.js';
import { StepHeading } from './parts/step-heading.js';
import { WordList } from './parts/word-list.js';

/** How many words are asked for, and how many there are to pick each from. */
const ASKED = 3;
const OFFERED = 4;

type Step = 'begin' | 'words' | 'confirm' | 'keep';

export function Create() {
    const [step, goTo] = useState<Step>('begin');
    const [count, choose] = useState<'24' | '12'>('24');
    const [mnemonic, make] = useState<Mnemonic>();
    const [label, name] = useState(nextLabel());
    const [problem, tell] = useState<string>();
    // Left at whichever step: the words are wiped.
    useEffect(() => () => mnemonic?.free(), [mnemonic]);

    const begin = async (event: SubmitEvent) => {
        event.preventDefault();
        try {
            const { Mnemonic } = await loadWallet();
            make(Mnemonic.generate({ words: Number(count) }));
            goTo('words');
        } catch (error) {
            tell(inWords(error));
        }
    };
    return (
        <Page title="Create an account" back={{ to: '/', text: 'Wallet' }}>
            <Unavailable />
            <div class="card stack">
                {step === 'begin' && (
                    <form class="stack" onSubmit={(event) => void begin(event)}>
                        <p>An account is made of words that only you know. They are made in this browser, and sent nowhere.</p>
                        <Choices
                            label="Words"
                            value={count}
                            onChange={choose}
                            options={[
                                { value: '24', text: '24', hint: 'usual' },
                                { value: '12', text: '12', hint: 'shorter' },
                            ]}
                        />
                        <Field label="Name" hint="Only for you, in this browser." value={label} onInput={name} maxLength={40} autocomplete="off" />
                        {problem && <Notice tone="bad">{problem}</Notice>}
                        <Button type="submit" kind="primary" wide>
                            Make the words
                        </Button>
                    </form>
                )}
                {step === 'words' && mnemonic && <Words words={mnemonic.words} onDone={() => goTo('confirm')} />}
                {step === 'confirm' && mnemonic && <Confirm words={mnemonic.words} onBack={() => goTo('words')} onDone={() => goTo('keep')} />}
                {step === 'keep' && mnemonic && (
                    <Keep
                        action="Create account"
                        keep={async (password) => {
                            const [first] = await keepDerived(mnemonic, [{ path: accountPath(0), label: label.trim() || nextLabel() }], password);
                            go(`/account/${inPath(first)}`, { replace: true });
                        }}
                    >
                        <StepHeading>That’s right</StepHeading>
                        <p>One last thing: the account is kept in this browser, encrypted.</p>
                    </Keep>
                )}
            </div>
        </Page>
    );
}

function Words({ words, onDone }: { words: string[]; onDone: () => void }) {
    return (
        <>
            <StepHeading>Your {words.length} words</StepHeading>
            <p>Write them down on paper, in this order. Whoever has them has the account; without them, nobody can bring it back.</p>
            <WordList words={words} />
            <Notice tone="warn" live="off">
                Don’t photograph them, and don’t type them into any other page.
            </Notice>
            <Button kind="primary" wide onClick={onDone}>
                I have written them down
            </Button>
        </>
    );
}

/** Asks for some of the words, each from a few. */
function Confirm({ words, onBack, onDone }: { words: string[]; onBack: () => void; onDone: () => void }) {
    const [questions, ask] = useState(() => questionsOf(words));
    const [answers, answer] = useState<Record<number, string>>({});
    const [problem, tell] = useState<string>();
    const submit = (event: SubmitEvent) => {
        event.preventDefault();
        if (questions.some(({ at }) => answers[at] === undefined)) return tell('Pick a word for each.');
        if (questions.every(({ at }) => answers[at] === words[at])) return onDone();
        // Others, so that picking at random doesn't get there.
        ask(questionsOf(words));
        answer({});
        tell('That was not right. Look at your paper again: here are other ones.');
    };
    return (
        <form class="stack" onSubmit={submit}>
            <StepHeading>What did you write down?</StepHeading>
            {questions.map(({ at, offered }) => (
                <Choices
                    key={at}
                    label={`Word ${at + 1}`}
                    value={answers[at] ?? ''}
                    onChange={(word) => {
                        answer((now) => ({ ...now, [at]: word }));
                        tell(undefined);
                    }}
                    options={offered.map((word) => ({ value: word, text: word }))}
                />
            ))}
            {problem && <Notice tone="bad">{problem}</Notice>}
            <div class="actions">
                <Button onClick={onBack}>Show the words again</Button>
                <Button type="submit" kind="primary">
                    Continue
                </Button>
            </div>
        </form>
    );
}

function questionsOf(words: string[]): { at: number; offered: string[] }[] {
    const places = shuffled(words.map((_, i) => i)).slice(0, ASKED);
    return places
        .sort((a, b) => a - b)
        .map((at) => {
            const others = shuffled([...new Set(words)].filter((word) => word !== words[at]));
            return { at, offered: shuffled([words[at], ...others.slice(0, OFFERED - 1)]) };
        });
}

function shuffled<T>(items: T[]): T[] {
    const all = [...items];
    for (let i = all.length - 1; i > 0; i -= 1) {
        const j = randomBelow(i + 1);
        [all[i], all[j]] = [all[j], all[i]];
    }
    return all;
}
