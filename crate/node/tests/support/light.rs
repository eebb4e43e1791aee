//! This project's own light client, on its own swarm.

use std::sync::Arc;

use futures::StreamExt;
use pico_network::{Config, Keypair, Multiaddr, Network};
use pico_node::chain::{NETWORK_ID, genesis_block};
use pico_sync::{
    Clock, Consensus, ConsensusState, Handle, NetworkParams, PoolVerifier, Queries, SyncConfig,
};
use tokio::task::JoinHandle;

/// A client that is connected to these addresses and those it hears of.
pub struct LightClient {
    pub network: Arc<Network>,
    pub handle: Handle,
    pub queries: Queries<Network>,
    run: JoinHandle<()>,
}

impl LightClient {
    pub fn start(seeds: Vec<Multiaddr>) -> Self {
        let mut config = Config::new(Keypair::generate_ed25519(), genesis_block().hash(), seeds);
        config.allow_loopback = true;
        let network = Network::new(config).unwrap();
        let config = SyncConfig {
            min_peers: 1,
            ..SyncConfig::default()
        };
        let (consensus, handle) = Consensus::new(
            Arc::clone(&network),
            Arc::new(PoolVerifier::default()),
            Clock::system(),
            NetworkParams::of(NETWORK_ID).unwrap(),
            config,
        );
        let queries = consensus.queries();
        let run = tokio::spawn(consensus.run());
        network.start_connecting();
        Self {
            network,
            handle,
            queries,
            run,
        }
    }

    /// Waits until what the client knows is as it should be.
    pub async fn until(&self, what: impl Fn(&pico_sync::Snapshot) -> bool) {
        let mut events = self.handle.events();
        while !what(&self.handle.snapshot()) {
            events.next().await.expect("the engine goes on").ok();
        }
    }

    pub async fn established(&self) {
        self.until(|snapshot| snapshot.consensus == ConsensusState::Established)
            .await;
    }

    pub async fn reached(&self, number: u32) {
        self.until(|snapshot| snapshot.head.number >= number).await;
    }

    pub fn height(&self) -> u32 {
        self.handle.snapshot().head.number
    }

    pub async fn stop(self) {
        self.handle.close();
        self.run.abort();
        self.network.close().await;
    }
}
