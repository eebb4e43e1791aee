// The words of a mnemonic, numbered, to be written down.

export function WordList({ words }: { words: string[] }) {
    return (
        <ol class="words" data-testid="words">
            {words.map((word, i) => (
                <li key={i}>
                    <span class="soft" aria-hidden="true">
                        {i + 1}
                    </span>
                    <b>{word}</b>
                </li>
            ))}
        </ol>
    );
}
