// The accounts of this wallet.

export function Home() {
    return <h1>Wallet</h1>;
}
