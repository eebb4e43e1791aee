//! Peers of the devnet that are not part of it: a bare connection, and nimiq's own light client.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod light;

use std::{
    future::Future,
    num::NonZeroU8,
    sync::{Arc, atomic::AtomicU32},
    time::{Duration, SystemTime},
};

use futures::StreamExt;
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_blockchain_proxy::BlockchainProxy;
use nimiq_consensus::{BlsCache, Consensus, ConsensusProxy, sync::syncer_proxy::SyncerProxy};
use nimiq_dht::Verifier;
use nimiq_hash::Blake2bHash;
use nimiq_light_blockchain::LightBlockchain;
use nimiq_network_interface::{
    Multiaddr,
    network::{Network as _, NetworkEvent},
    peer_info::{NodeType, Services},
};
use nimiq_network_libp2p::{
    Config, Keypair, Network, PeerId, discovery::peer_contacts::PeerContact,
};
use nimiq_utils::spawn;
use parking_lot::{Mutex, RwLock};
use pico_node::{
    chain::{NETWORK_ID, genesis_block, init_policy},
    node::meet,
};

/// Fails a test that waits for what doesn't come.
pub async fn within<T>(seconds: u64, what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(seconds), future)
        .await
        .unwrap_or_else(|_| panic!("{what} took more than {seconds} s"))
}

/// The network of a light client.
pub async fn light_network(
    seeds: Vec<Multiaddr>,
    required: Services,
) -> (Arc<Network>, Arc<RwLock<LightBlockchain>>) {
    init_policy();
    let keypair = Keypair::generate_ed25519();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let contact = PeerContact::new([], keypair.public(), Services::empty(), now).unwrap();
    let initial = seeds.len().max(1);
    let config = Config::new(
        keypair,
        contact,
        seeds,
        genesis_block().hash(),
        false,
        required,
        None,
        12,
        50,
        50,
        50,
        false,
        initial,
        true,
        NonZeroU8::MIN,
        1024,
    );
    let chain = Arc::new(RwLock::new(LightBlockchain::new(NETWORK_ID)));
    let verifier = Verifier::new(BlockchainProxy::from(&chain));
    (Arc::new(Network::new(config, verifier).await), chain)
}

/// A bare connection to one peer.
pub struct Prober {
    pub network: Arc<Network>,
    pub peer: PeerId,
    pub services: Services,
}

impl Prober {
    /// Connects, whatever services the peer has.
    pub async fn connect(address: &Multiaddr) -> Self {
        let seeds = vec![address.clone()];
        let (network, _) = light_network(seeds.clone(), Services::empty()).await;
        let mut events = network.subscribe_events();
        spawn(meet(Arc::clone(&network), seeds));
        network.start_connecting().await;
        let joined = async {
            loop {
                if let Ok(NetworkEvent::PeerJoined(peer, info)) = events.next().await.unwrap() {
                    return (peer, info.get_services());
                }
            }
        };
        let (peer, services) = within(60, "connecting", joined).await;
        Self {
            network,
            peer,
            services,
        }
    }
}

/// Nimiq's own pico client, with the peers it wants by default.
pub struct PicoClient {
    pub network: Arc<Network>,
    pub chain: Arc<RwLock<LightBlockchain>>,
    pub consensus: ConsensusProxy<Network>,
}

impl PicoClient {
    pub async fn start(seeds: Vec<Multiaddr>, min_peers: usize) -> Self {
        let required = Services::required(NodeType::Pico);
        let (network, chain) = light_network(seeds.clone(), required).await;
        let events = network.subscribe_events();
        let proxy = BlockchainProxy::from(&chain);
        let syncer = SyncerProxy::new_pico(
            proxy.clone(),
            Arc::clone(&network),
            Arc::new(Mutex::new(BlsCache::default())),
            events,
        )
        .await;
        let consensus = Consensus::new(
            proxy,
            Arc::clone(&network),
            syncer,
            min_peers,
            Arc::new(AtomicU32::new(0)),
        );
        let consensus_proxy = consensus.proxy();
        spawn(consensus);
        spawn(meet(Arc::clone(&network), seeds));
        network.start_connecting().await;
        Self {
            network,
            chain,
            consensus: consensus_proxy,
        }
    }

    pub async fn established(&self) {
        let mut events = self.consensus.subscribe_events();
        while !self.consensus.is_established() {
            events.next().await.unwrap().unwrap();
        }
    }

    pub async fn reached(&self, number: u32) {
        let mut events =
            tokio_stream::wrappers::BroadcastStream::new(self.chain.read().notifier.subscribe());
        while self.chain.read().block_number() < number {
            events.next().await.unwrap().unwrap();
        }
    }

    pub fn hash_at(&self, number: u32) -> Option<Blake2bHash> {
        let chain = self.chain.read();
        chain.get_block_at(number, false).ok().map(|b| b.hash())
    }
}
