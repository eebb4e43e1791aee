//! A gateway: a peer that browsers can reach, in front of nodes that they can't.
//!
//! To its upstreams, any nodes of the network, it is one more light client. To its own clients it is a
//! peer that offers what its upstreams offer. It keeps no chain and believes nobody: requests are
//! handed on as bytes, each client's to one and the same upstream, so a client sees one consistent
//! view, and an upstream that lies deceives those who are bound to it and nobody else, as it would by
//! itself. Clients check all that they are told anyway.
//!
//! - `upstreams` dials nodes and keeps them connected.
//! - `relay` decides who is asked what, fairly and within what nodes allow, by means of `fair`,
//!   `window`, `target`, `cache` and `types`; `serve` is the task around it.
//! - `heads` compares what upstreams say of the chain.
//! - `gossip` hands block headers and transactions on, `notifications` tells clients of transactions
//!   that touch their addresses, which `subscriptions` keeps, `proofs` answers requests for proofs of the election chain.
//! - `config` says what it is started with, `stats` what it counts, `limits` how much it has room for.
//!
//! What runs around a gateway, its folder, metrics and health, is in `ops`; what it is told, on the command line.

mod cache;
mod config;
mod error;
mod fair;
mod gossip;
mod heads;
pub mod limits;
mod notifications;
pub mod ops;
mod proofs;
mod relay;
#[cfg(test)]
mod relay_tests;
mod serve;
mod stats;
mod subscriptions;
mod target;
mod types;
mod upstreams;
mod window;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nimiq_network_interface::{Protocol, request::RequestType};
use parking_lot::Mutex;
use pico_network::{Multiaddr, Network, PeerId, Transport};
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinHandle,
};

pub use self::{
    config::GatewayConfig,
    error::GatewayError,
    stats::{
        ClientStats, GatewayStats, GossipStats, NotificationStats, RequestStats, UpstreamStats,
    },
};
use self::{
    gossip::Readers, notifications::Notifier, proofs::Prover, serve::Server, stats::Counters,
    upstreams::Upstreams,
};

/// A running gateway. Dropping it stops it without a word to anybody.
pub struct Gateway {
    network: Arc<Network>,
    upstreams: Arc<Upstreams>,
    counters: Arc<Counters>,
    limited: Vec<(RequestType, Arc<AtomicU64>)>,
    addresses: Vec<Multiaddr>,
    started: Instant,
    stopping: watch::Sender<bool>,
    /// `None` once it has been waited for.
    server: Mutex<Option<JoinHandle<()>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(server) = self.server.lock().take() {
            server.abort();
        }
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Gateway {
    /// Starts a gateway; resolves once it listens everywhere it shall. Its upstreams are dialled in the
    /// background, and until one is there, clients are told that there is nothing to be had. It installs
    /// the network's policy in this process. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// If the configuration can't work, or the system refuses an address.
    pub async fn start(config: GatewayConfig) -> Result<Self, GatewayError> {
        config.check()?;
        let genesis_hash = config.install_network()?;
        let network = Network::new(config.swarm(genesis_hash))?;
        let started = Self::assemble(&config, &network).await;
        if started.is_err() {
            // What has been opened is closed when this returns.
            network.close().await;
        }
        started
    }

    async fn assemble(
        config: &GatewayConfig,
        network: &Arc<Network>,
    ) -> Result<Self, GatewayError> {
        let counters = Arc::new(Counters::default());
        let upstreams = Arc::new(Upstreams::new(&config.upstreams));
        let requests = serve::receive(network)?;
        let mut limited = requests.limited();
        let (blocks, block_receiver) = broadcast::channel(16);
        let (headers, header_receiver) = mpsc::channel(limits::BLOCK_QUEUE);
        let (pass_on, passed_on) = mpsc::channel(limits::REQUEST_QUEUE);
        let mut tasks = Vec::new();
        let notifier = Notifier::new(Arc::clone(network), Arc::clone(&counters));
        let subscriptions = notifications::receive(network)?;
        tasks.push(tokio::spawn(notifier.run(subscriptions, header_receiver)));
        if let Some(folder) = config.proofs.clone() {
            // In place of the relay.
            let requests = proofs::receive(network)?;
            limited.splice(0..0, requests.limited());
            let prover = Prover::new(Arc::clone(network), Arc::clone(&counters), folder, pass_on);
            tasks.push(tokio::spawn(prover.run(requests)));
        }
        let readers = Readers { blocks, headers };
        gossip::relay_headers(network, &upstreams, &counters, readers).await?;
        gossip::relay_transactions(network, config.network, &counters).await?;

        let mut addresses = Vec::new();
        for address in &config.listen {
            let actual = network.listen_on(address.clone()).await;
            let actual = actual.map_err(|source| GatewayError::Listen {
                address: address.clone(),
                source,
            })?;
            addresses.push(with_peer(actual, network));
        }
        // On an unspecified host it listens on several.
        for address in network.listen_addresses().await {
            let address = with_peer(address, network);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let announced = match config.announce.is_empty() {
            true => addresses.clone(),
            false => {
                let announced = config.announce.iter().cloned();
                announced.map(|one| with_peer(one, network)).collect()
            }
        };

        let compare = heads::compare(Arc::clone(network), Arc::clone(&upstreams));
        tasks.push(tokio::spawn(compare));
        let (stopping, stop_receiver) = watch::channel(false);
        let server = Server {
            network: Arc::clone(network),
            upstreams: Arc::clone(&upstreams),
            counters: Arc::clone(&counters),
            requests,
            blocks: block_receiver,
            passed_on,
            suspects: upstreams.suspects.subscribe(),
            addresses: announced.iter().map(without_peer).collect(),
            stopping: stop_receiver,
        };
        let server = tokio::spawn(server.run());
        for (index, address) in config.upstreams.iter().enumerate() {
            let (network, upstreams) = (Arc::clone(network), Arc::clone(&upstreams));
            let hold = upstreams::hold(network, upstreams, index, address.clone());
            tasks.push(tokio::spawn(hold));
        }
        Ok(Self {
            network: Arc::clone(network),
            counters,
            limited,
            addresses: announced,
            started: Instant::now(),
            stopping,
            server: Mutex::new(Some(server)),
            tasks,
            upstreams,
        })
    }

    /// Who it is.
    pub fn peer_id(&self) -> PeerId {
        use nimiq_network_interface::network::Network as _;
        self.network.get_local_peer_id()
    }

    /// Where clients find it: what was to be announced, or else what it listens on; with its peer id.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.addresses.clone()
    }

    /// Whether an upstream is connected that offers what clients need.
    pub fn is_serving(&self) -> bool {
        *self.upstreams.serving.borrow()
    }

    /// Waits until [`is_serving`](Self::is_serving).
    pub async fn ready(&self) {
        let mut serving = self.upstreams.serving.subscribe();
        // An error would mean that the sender is gone, but we hold it.
        drop(serving.wait_for(|serving| *serving).await);
    }

    /// What it has done, and has at the moment.
    pub fn stats(&self) -> GatewayStats {
        let counters = &self.counters;
        let mut clients = ClientStats {
            joined: counters.joined.get(),
            dropped: self.network.offenders(),
            ..ClientStats::default()
        };
        let peers = self.network.peers();
        for peer in &peers {
            match peer.transport {
                _ if peer.dialled => {}
                Transport::WebSocket => clients.websocket += 1,
                Transport::WebRtc => clients.webrtc += 1,
            }
        }
        let request = |(index, kind): (usize, &types::Kind)| {
            let mut stats = counters.request(index);
            let limited = self
                .limited
                .iter()
                .find(|(of, _)| *of == kind.request_type());
            stats.rate_limited = limited.map_or(0, |(_, count)| count.load(Ordering::Relaxed));
            (kind.id, stats)
        };
        GatewayStats {
            uptime: self.started.elapsed(),
            serving: self.is_serving(),
            upstreams: self.upstreams.stats(&peers),
            clients,
            requests: types::ALL.iter().enumerate().map(request).collect(),
            queued: counters.queued.get(),
            in_flight: counters.in_flight.get(),
            cache_entries: counters.cache_entries.get(),
            cache_bytes: counters.cache_bytes.get(),
            gossip: GossipStats {
                headers: counters.headers.get(),
                transactions: counters.transactions.get(),
                rejected: counters.rejected.get(),
            },
            notifications: NotificationStats {
                clients: counters.notified_clients.get(),
                addresses: counters.notified_addresses.get(),
                sent: counters.notifications.get(),
            },
            traffic: self.network.traffic(),
            proof: match counters.proof.get() {
                0 => None,
                number => u32::try_from(number).ok(),
            },
        }
    }

    /// Stops: takes no more requests, answers those it has for at most `grace`, then says goodbye to
    /// everybody. Can be called again.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.send_replace(true);
        let grace = grace.min(limits::MAX_GRACE);
        let server = self.server.lock().take();
        if let Some(mut server) = server
            && tokio::time::timeout(grace, &mut server).await.is_err()
        {
            log::warn!("stopped before all requests were answered");
            server.abort();
        }
        self.network.close().await;
    }
}

fn with_peer(address: Multiaddr, network: &Network) -> Multiaddr {
    use nimiq_network_interface::network::Network as _;
    without_peer(&address).with(Protocol::P2p(network.get_local_peer_id()))
}

fn without_peer(address: &Multiaddr) -> Multiaddr {
    address
        .iter()
        .filter(|protocol| !matches!(protocol, Protocol::P2p(_)))
        .collect()
}
