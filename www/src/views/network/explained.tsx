// The words of the network view, for those who see them for the first time.

const TERMS: [string, string][] = [
    ['Peer', 'A node of the Nimiq network that this page is connected to: over WebSocket, or over WebRTC through a gateway. Neither is trusted.'],
    ['Election block', 'The block that ends an epoch. It names the validators of the next one, and two thirds of those before have signed it.'],
    ['Checkpoint', 'The block that ends a batch within an epoch, signed likewise. What is before it is final.'],
    ['Optimistic', 'The chain as peers tell it, with few checks. Quick, and as good as the peers are.'],
    ['Verified', 'Proven from a block that came with this page: by a zero-knowledge proof, or by the signatures of each election block since.'],
    ['Fallback', 'Peers contradict each other: all that isn’t proven is given up, and what is checked comes first.'],
];

export function Explained() {
    return (
        <details class="card connection">
            <summary>
                <h2>What the words mean</h2>
            </summary>
            <dl class="terms">
                {TERMS.map(([term, text]) => (
                    <div key={term}>
                        <dt>{term}</dt>
                        <dd class="soft">{text}</dd>
                    </div>
                ))}
            </dl>
        </details>
    );
}
