//! Clients that behave well: they connect, follow headers, and ask for the head at a steady pace.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream};
use nimiq_consensus::messages::{BlockHeaderTopic, RequestHead};
use nimiq_network_interface::network::Network as NetworkInterface;
use nimiq_utils::spawn;
use parking_lot::Mutex;
use pico_network::{Config, DialError, Multiaddr, Network, PeerId, new_identity};
use pico_node::chain::genesis_block;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// Clients that connect at the same time.
const CONNECTING: usize = 16;
/// How long a client may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// What came of a span.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measured {
    /// Clients that are connected at its end, by transport.
    websocket: usize,
    webrtc: usize,
    /// Clients that could not connect, so far.
    refused: u64,
    /// Connections that were lost, so far.
    lost: u64,
    /// Answers.
    answers: usize,
    /// Requests without one.
    pub(crate) failed: u64,
    /// Milliseconds; `None` without answers.
    p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    max: Option<f64>,
    /// Headers that came by gossip.
    headers: u64,
}

#[derive(Debug, Default)]
struct Counts {
    latencies: Mutex<Vec<Duration>>,
    failed: AtomicU64,
    headers: AtomicU64,
    lost: AtomicU64,
    refused: AtomicU64,
}

/// All of them.
pub(crate) struct Crowd {
    addresses: Vec<Multiaddr>,
    pace: Duration,
    clients: Vec<(Arc<Network>, PeerId, bool)>,
    asked_for: usize,
    counts: Arc<Counts>,
    began: Instant,
}

impl Crowd {
    pub(crate) fn new(addresses: Vec<Multiaddr>, pace: Duration) -> Self {
        Self {
            addresses,
            pace,
            clients: Vec::new(),
            asked_for: 0,
            counts: Arc::default(),
            began: Instant::now(),
        }
    }

    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Connects as many as are missing, by turns over the addresses.
    pub(crate) async fn grow_to(&mut self, clients: usize) {
        let missing = self.asked_for..clients.max(self.asked_for);
        self.asked_for = missing.end;
        let mut joined = stream::iter(missing)
            .map(|i| {
                let address = self.addresses[i % self.addresses.len()].clone();
                async move {
                    let connected = connect(&address).await;
                    (is_webrtc(&address), connected)
                }
            })
            .buffer_unordered(CONNECTING);
        let mut clients = Vec::new();
        while let Some((webrtc, connected)) = joined.next().await {
            match connected {
                Ok((network, peer)) => clients.push((network, peer, webrtc)),
                Err(error) => {
                    self.counts.refused.fetch_add(1, Ordering::Relaxed);
                    log::debug!("A client can't connect: {error}");
                }
            }
        }
        drop(joined);
        let count = u32::try_from(clients.len()).unwrap_or(u32::MAX).max(1);
        for (i, (network, peer, webrtc)) in (0..).zip(clients) {
            // Spread evenly over the interval.
            let first = Instant::now() + self.pace * i / count;
            spawn(ask(
                Arc::clone(&network),
                peer,
                Arc::clone(&self.counts),
                first,
                self.pace,
            ));
            spawn(follow(Arc::clone(&network), Arc::clone(&self.counts)));
            self.clients.push((network, peer, webrtc));
        }
    }

    /// What the clients see in a span that begins a fifth of it from now.
    pub(crate) async fn measure(&self, span: Duration) -> Measured {
        tokio::time::sleep(span / 5).await;
        let counts = &self.counts;
        counts.latencies.lock().clear();
        counts.failed.store(0, Ordering::Relaxed);
        counts.headers.store(0, Ordering::Relaxed);
        tokio::time::sleep(span).await;
        let mut latencies = std::mem::take(&mut *counts.latencies.lock());
        latencies.sort_unstable();
        let at = |share: usize| {
            let index = (latencies.len() * share).div_ceil(100).checked_sub(1)?;
            Some(latencies.get(index)?.as_secs_f64() * 1000.0)
        };
        let connected = |webrtc: bool| {
            let clients = self.clients.iter();
            let of = clients.filter(|(network, _, of)| *of == webrtc && network.peer_count() > 0);
            of.count()
        };
        Measured {
            websocket: connected(false),
            webrtc: connected(true),
            refused: counts.refused.load(Ordering::Relaxed),
            lost: counts.lost.load(Ordering::Relaxed),
            answers: latencies.len(),
            failed: counts.failed.load(Ordering::Relaxed),
            p50: at(50),
            p99: at(99),
            max: at(100),
            headers: counts.headers.load(Ordering::Relaxed),
        }
    }
}

pub(crate) fn is_webrtc(address: &Multiaddr) -> bool {
    address.to_string().contains("/webrtc-direct/")
}

/// A light client that goes nowhere by itself.
pub(crate) fn network() -> Result<Arc<Network>, String> {
    let mut config = Config::new(new_identity(), genesis_block().hash(), Vec::new());
    config.allow_loopback = true;
    Network::new(config).map_err(|error| error.to_string())
}

async fn connect(address: &Multiaddr) -> Result<(Arc<Network>, PeerId), String> {
    let network = network()?;
    let dialled: Result<Result<PeerId, DialError>, _> =
        timeout(CONNECT_TIMEOUT, network.dial(address.clone())).await;
    match dialled {
        Ok(Ok(peer)) => Ok((network, peer)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it took too long".to_owned()),
    }
}

/// Connects one client and closes it again. Tells how long the connection and its handshakes took.
pub(crate) async fn connect_once(address: &Multiaddr) -> Result<(&'static str, Duration), String> {
    let network = network()?;
    let from = Instant::now();
    let dialled = timeout(CONNECT_TIMEOUT, network.dial(address.clone())).await;
    let took = from.elapsed();
    network.close().await;
    dialled
        .map_err(|_| format!("{address}: it took too long"))?
        .map_err(|error| format!("{address}: {error}"))?;
    let transport = if is_webrtc(address) {
        "webrtc"
    } else {
        "websocket"
    };
    Ok((transport, took))
}

/// Asks for the head until the connection is lost.
async fn ask(
    network: Arc<Network>,
    peer: PeerId,
    counts: Arc<Counts>,
    first: Instant,
    pace: Duration,
) {
    let mut due = interval_at(first, pace);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        let at = due.tick().await;
        if !network.has_peer(peer) {
            counts.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // A late answer must not hold up the next request.
        let (network, counts) = (Arc::clone(&network), Arc::clone(&counts));
        spawn(async move {
            match network.request(RequestHead {}, peer).await {
                Ok(_) => counts.latencies.lock().push(at.elapsed()),
                Err(error) => {
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    log::debug!("No head: {error:?}");
                }
            }
        });
    }
}

async fn follow(network: Arc<Network>, counts: Arc<Counts>) {
    // Ours has a method of that name, too.
    let subscribed = <Network as NetworkInterface>::subscribe::<BlockHeaderTopic>(&network).await;
    let Ok(mut headers) = subscribed else {
        return;
    };
    while headers.next().await.is_some() {
        counts.headers.fetch_add(1, Ordering::Relaxed);
    }
}
