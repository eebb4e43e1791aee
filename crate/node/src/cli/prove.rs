//! `pico-node prove`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use nimiq_block::MacroBlock;
use nimiq_network_interface::Multiaddr;
use nimiq_serde::Deserialize;
use pico_node::{
    chain::init_policy,
    node::validate_listen_address,
    proofs::{ProofStore, StoreError, serve},
    prove::{Elections, Follower, Groth16Prover, Progress, ProveError, ProverError, Proving},
};

use super::{
    end::{Ends, Failure},
    logging::tell,
};

/// How often the node is asked for new election blocks.
const POLL: Duration = Duration::from_secs(5);

/// Arguments of `pico-node prove`.
#[derive(Debug, Args)]
pub(super) struct ProveArgs {
    /// File with the proving keys, which `pico-node setup` has made
    #[arg(long, value_name = "PATH")]
    keys: PathBuf,
    /// Folder to keep the proofs in. What is there already is gone on from
    #[arg(long, value_name = "DIR")]
    proofs: PathBuf,
    /// Follows this node and proves each new epoch, until it is told to end
    #[arg(long, value_name = "MULTIADDR", required_unless_present = "elections")]
    node: Option<Multiaddr>,
    /// Proves the election blocks in this file, as `pico-node fixture` makes it, and ends
    #[arg(long, value_name = "PATH", conflicts_with_all = ["node", "serve"])]
    elections: Option<PathBuf>,
    /// Listens here, /ip4/…/tcp/PORT/ws, and serves the proofs to whoever asks for them
    #[arg(long, value_name = "MULTIADDR")]
    serve: Option<Multiaddr>,
}

/// Proves until the process shall end, or nothing is left to prove.
pub(super) async fn run(args: ProveArgs) -> Result<(), Failure> {
    let (mut ends, _failures) = Ends::new(false)
        .map_err(|error| Failure::Other(format!("can't listen for signals: {error}")))?;
    tokio::select! {
        end = ends.wait() => end,
        done = prove(args) => done,
    }
}

async fn prove(args: ProveArgs) -> Result<(), Failure> {
    init_policy();
    if let Some(address) = &args.serve {
        validate_listen_address(address)?;
    }
    let elections = match &args.elections {
        Some(path) => read(path)?,
        None => Elections::genesis().map_err(other)?,
    };
    let store = ProofStore::new(args.proofs);
    // Another process at the same work would be in vain.
    let _lock = store.lock().map_err(store_failure)?;

    let follower = args
        .node
        .map(|node| Follower::new(node, elections.clone()))
        .transpose()
        .map_err(|error| Failure::Argument(error.to_string()))?;
    if let (Some(address), Some(follower)) = (args.serve, &follower) {
        let network = follower.network();
        let address = network.listen_on(address).await.map_err(other)?;
        serve(
            network,
            Arc::new(store.clone()),
            Arc::new(elections.clone()),
        );
        tell(format_args!(
            "serving   {address}/p2p/{}",
            nimiq_network_interface::network::Network::get_local_peer_id(&**network)
        ));
    }

    let path = args.keys;
    tell(format_args!("reading the proving keys"));
    let prover = blocking(move || Groth16Prover::load(&path))
        .await?
        .map_err(|ProverError(reason)| Failure::Io(reason))?;
    let proving = Arc::new(Proving::new(prover, store, elections));
    let Some(follower) = follower else {
        return catch_up(&proving).await;
    };
    loop {
        match follower.update().await {
            Ok(_) => {}
            Err(error) if error.is_passing() => tell(format_args!("{error}; trying again")),
            Err(error) => return Err(Failure::Other(error.to_string())),
        }
        catch_up(&proving).await?;
        tokio::time::sleep(POLL).await;
    }
}

/// Proves what there is to prove.
async fn catch_up(proving: &Arc<Proving<Groth16Prover>>) -> Result<(), Failure> {
    let proving = Arc::clone(proving);
    let began = Instant::now();
    let done = blocking(move || proving.catch_up(&mut |progress| print(&progress, began))).await?;
    done.map_err(|error| match error {
        ProveError::Store(error) => store_failure(error),
        error => other(error),
    })
}

/// The work of minutes, out of the way of the network.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(other)
}

fn print(progress: &Progress, began: Instant) {
    let at = began.elapsed().as_secs();
    match progress {
        Progress::Begun { number, of } => tell(format_args!("{at:5} s  block {number} of {of}")),
        Progress::Stage(stage) => tell(format_args!("{at:5} s  {stage}")),
        Progress::Proven { number, took } => tell(format_args!(
            "{at:5} s  block {number} is proven; it took {} s",
            took.as_secs()
        )),
        Progress::Wrapped { number, took } => tell(format_args!(
            "{at:5} s  the proof of block {number} is wrapped; it took {} s",
            took.as_secs()
        )),
    }
}

fn read(path: &Path) -> Result<Elections, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::Io(format!("can't read {}: {error}", path.display())))?;
    let wrong =
        |reason: String| Failure::Argument(format!("can't use {}: {reason}", path.display()));
    let blocks = Vec::<MacroBlock>::deserialize_from_vec(&bytes)
        .map_err(|_| wrong("it is no list of election blocks".into()))?;
    Elections::of(blocks).map_err(|error| wrong(error.to_string()))
}

fn store_failure(error: StoreError) -> Failure {
    match error {
        StoreError::Io { .. } => Failure::Io(error.to_string()),
        StoreError::Locked(_) => Failure::Argument(error.to_string()),
    }
}

fn other(error: impl std::fmt::Display) -> Failure {
    Failure::Other(error.to_string())
}
