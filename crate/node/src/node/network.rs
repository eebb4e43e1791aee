//! The real network stack, set up for many nodes on one machine.

use std::{
    collections::HashSet,
    io,
    net::{IpAddr, TcpListener},
    num::NonZeroU8,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::StreamExt;
use nimiq_blockchain_proxy::BlockchainProxy;
use nimiq_dht::Verifier;
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{
    Multiaddr, Protocol,
    network::{Network as _, NetworkEvent},
    peer_info::Services,
};
use nimiq_network_libp2p::{
    Config, Keypair, Network, NetworkError, PeerId, discovery::peer_contacts::PeerContact,
};
use nimiq_utils::spawn;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::NodeError;
use crate::chain::genesis_block;

/// How many peers a node tries to have; the default of `nimiq-client`.
const DESIRED_PEERS: usize = 12;
/// How many peers it lets in. All are on one machine, so the usual limits by address don't apply.
const MAX_PEERS: usize = 4000;
/// Size of the buffers for incoming requests; the default of `nimiq-client`.
const BUFFER_SIZE: usize = 1024;
/// How long the system may take to open a port.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How often to look whether it has.
const LISTEN_CHECK: Duration = Duration::from_millis(2);
/// How often seeds are dialled that have not been met.
const MEET_PERIOD: Duration = Duration::from_secs(5);
/// How often each is dialled so at most.
const MEET_TRIES: usize = 24;
/// How long to wait for a port that is in use, if it was ours a moment ago.
pub(crate) const PORT_PATIENCE: Duration = Duration::from_secs(5);
/// How often to look whether it is free.
const PORT_CHECK: Duration = Duration::from_millis(50);

/// What a node is in its network.
#[derive(Debug)]
pub(crate) struct NetworkSetup {
    pub(crate) identity: Keypair,
    pub(crate) listen: Multiaddr,
    pub(crate) seeds: Vec<Multiaddr>,
    /// The services it offers.
    pub(crate) provided: Services,
    /// The services it wants of peers.
    pub(crate) required: Services,
    /// The genesis block it claims to be of, instead of the right one.
    pub(crate) genesis: Option<Blake2bHash>,
}

/// A network that is ready to listen.
pub(crate) struct Listening {
    network: Arc<Network>,
    address: Multiaddr,
    seeds: Vec<Multiaddr>,
}

/// Creates a network that doesn't listen yet, so that nobody comes before it can answer.
pub(crate) async fn connect(
    setup: NetworkSetup,
    blockchain: &BlockchainProxy,
) -> Result<(Arc<Network>, Listening), NodeError> {
    let NetworkSetup {
        identity: keypair,
        listen: address,
        seeds,
        provided,
        required,
        genesis,
    } = setup;
    validate_listen_address(&address)?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    // The contact gets the addresses listened on as soon as they are known.
    let contact = PeerContact::new([], keypair.public(), provided, now.as_secs())
        .map_err(NetworkError::PeerContactError)?;
    let initial_connections = seeds.len().max(1);
    let config = Config::new(
        keypair,
        contact,
        seeds.clone(),
        genesis.unwrap_or_else(|| genesis_block().hash()),
        false,
        required,
        None,
        DESIRED_PEERS,
        MAX_PEERS,
        MAX_PEERS,
        MAX_PEERS,
        false,
        initial_connections,
        true,
        NonZeroU8::MIN,
        BUFFER_SIZE,
    );
    let network = Arc::new(Network::new(config, Verifier::new(blockchain.clone())).await);
    let listening = Listening {
        network: Arc::clone(&network),
        address,
        seeds,
    };
    Ok((network, listening))
}

impl Listening {
    /// Listens, starts to connect to others, and returns the address with port and peer id.
    pub(crate) async fn start(self) -> Result<Multiaddr, NodeError> {
        let Self {
            network,
            address,
            seeds,
        } = self;
        network
            .listen_on(vec![address.clone()])
            .await
            .map_err(|error| listen_error(&address, error))?;
        let actual = tokio::time::timeout(LISTEN_TIMEOUT, actual_address(&network))
            .await
            .map_err(|_| NodeError::Timeout {
                what: "opening a port",
                seconds: LISTEN_TIMEOUT.as_secs(),
            })?;
        spawn(meet(Arc::clone(&network), seeds));
        network.start_connecting().await;
        Ok(actual.with(Protocol::P2p(*network.local_peer_id())))
    }
}

/// Dials those of `seeds` again that have not become peers yet, every few seconds; ends when each has
/// been one, or after two minutes. To be started before the network starts to connect, which dials them first. A
/// seed is known by the peer id in its address; one without is left to the network.
///
/// The network alone marks who was slower than its three seconds a step as down, and comes back to
/// it after minutes. Here all are on one machine, and slow because that is busy.
pub async fn meet(network: Arc<Network>, seeds: Vec<Multiaddr>) {
    let mut events = network.subscribe_events();
    let met: HashSet<PeerId> = network.get_peers().into_iter().collect();
    let mut missing: Vec<(PeerId, Multiaddr)> = seeds
        .into_iter()
        .filter_map(|address| Some((peer_id(&address)?, address)))
        .filter(|(peer, _)| !met.contains(peer))
        .collect();
    let mut ticks = interval_at(Instant::now() + MEET_PERIOD, MEET_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tries = 0;
    while !missing.is_empty() && tries < MEET_TRIES {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(NetworkEvent::PeerJoined(joined, _))) => {
                    missing.retain(|(peer, _)| *peer != joined);
                }
                // Whom it missed to tell of is dialled once more, which does no harm.
                Some(_) => {}
                None => return,
            },
            _ = ticks.tick() => {
                tries += 1;
                missing.retain(|(peer, _)| !network.has_peer(*peer));
                for (_, address) in &missing {
                    if let Err(error) = network.dial_address(address.clone()).await {
                        log::debug!("Can't dial {address} again: {error}");
                    }
                }
            }
        }
    }
}

fn peer_id(address: &Multiaddr) -> Option<PeerId> {
    address.iter().find_map(|protocol| match protocol {
        Protocol::P2p(peer) => Some(peer),
        _ => None,
    })
}

/// The address the system gave, once it has; of several that of this machine, which is certain to
/// work for those on it. The network has no event for it, so this has to ask.
async fn actual_address(network: &Network) -> Multiaddr {
    loop {
        let addresses = network.get_own_addresses();
        let local = addresses.iter().find(|address| {
            address.iter().any(|protocol| match protocol {
                Protocol::Ip4(ip) => ip.is_loopback(),
                Protocol::Ip6(ip) => ip.is_loopback(),
                _ => false,
            })
        });
        if let Some(address) = local.or(addresses.first()) {
            return address.clone();
        }
        tokio::time::sleep(LISTEN_CHECK).await;
    }
}

/// Checks that an address has the form `/ip4/…/tcp/PORT/ws` or `/ip6/…/tcp/PORT/ws`.
pub fn validate_listen_address(address: &Multiaddr) -> Result<(), NodeError> {
    let wrong = |reason| {
        Err(NodeError::Address {
            address: address.to_string(),
            reason,
        })
    };
    let mut protocols = address.iter();
    match protocols.next() {
        Some(Protocol::Ip4(_) | Protocol::Ip6(_)) => {}
        _ => return wrong("it must begin with /ip4/… or /ip6/…"),
    }
    match protocols.next() {
        Some(Protocol::Tcp(_)) => {}
        _ => {
            return wrong(
                "a TCP port must follow the IP address, as in /ip4/127.0.0.1/tcp/8443/ws",
            );
        }
    }
    match protocols.next() {
        Some(Protocol::Ws(path)) if path == "/" => {}
        _ => return wrong("it must end with /ws"),
    }
    match protocols.next() {
        None => Ok(()),
        Some(_) => wrong("it must end with /ws"),
    }
}

/// Checks that nobody else listens on a port, before the work to listen there oneself is done. A
/// checked address is assumed.
pub(crate) fn probe_port(address: &Multiaddr) -> Result<(), NodeError> {
    let mut ip = None;
    let mut port = 0;
    for protocol in address.iter() {
        match protocol {
            Protocol::Ip4(v4) => ip = Some(IpAddr::V4(v4)),
            Protocol::Ip6(v6) => ip = Some(IpAddr::V6(v6)),
            Protocol::Tcp(number) => port = number,
            _ => {}
        }
    }
    let Some(ip) = ip else {
        return Ok(());
    };
    TcpListener::bind((ip, port))
        .map(drop)
        .map_err(|error| NodeError::Listen {
            address: address.clone(),
            in_use: error.kind() == io::ErrorKind::AddrInUse,
            reason: error.to_string(),
        })
}

/// Waits until nobody listens on a port, `patience` at most: a listener that was stopped may linger. A
/// checked address is assumed.
///
/// # Errors
/// If somebody still listens then, or it can't be listened on at all.
pub(crate) async fn port_given_back(
    address: &Multiaddr,
    patience: Duration,
) -> Result<(), NodeError> {
    let deadline = Instant::now() + patience;
    loop {
        match probe_port(address) {
            // The system has no event for it.
            Err(NodeError::Listen { in_use: true, .. }) if Instant::now() < deadline => {
                tokio::time::sleep(PORT_CHECK).await;
            }
            probed => return probed,
        }
    }
}

fn listen_error(address: &Multiaddr, error: NetworkError) -> NodeError {
    // The reason is buried as deep as there are transports.
    let mut in_use = false;
    let mut reason = error.to_string();
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = source {
        reason = error.to_string();
        if let Some(error) = error.downcast_ref::<io::Error>() {
            in_use |= error.kind() == io::ErrorKind::AddrInUse;
        }
        source = error.source();
    }
    NodeError::Listen {
        address: address.clone(),
        in_use: in_use || reason.contains("Address already in use"),
        reason,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::{
        chain::ScriptedChain,
        node::{Node, NodeConfig},
    };

    fn listener() -> (TcpListener, Multiaddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = format!("/ip4/127.0.0.1/tcp/{port}/ws").parse().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn a_port_that_is_given_back_late_is_waited_for() {
        let (listener, address) = listener();
        match port_given_back(&address, Duration::ZERO).await {
            Err(NodeError::Listen { in_use: true, .. }) => {}
            other => panic!("{other:?}"),
        }
        let mut waiting = std::pin::pin!(port_given_back(&address, Duration::from_secs(600)));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(listener);
        waiting.await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_seed_that_failed_is_dialled_until_it_is_met() {
        let chain = ScriptedChain::new().unwrap();
        let (listener, listen) = listener();
        listener.set_nonblocking(true).unwrap();
        let seed = NodeConfig {
            listen,
            ..NodeConfig::follower(vec![])
        };
        let id = seed.identity.public().to_peer_id();
        let address = seed.listen.clone().with(Protocol::P2p(id));
        let config = NodeConfig::follower(vec![address]);
        let node = Node::start(config, chain.share()).await.unwrap();

        // Whoever calls is hung up on. The network gives up after three calls, for two minutes.
        let calls = async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            for _ in 0..4 {
                listener.accept().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), calls)
            .await
            .unwrap();
        let seed = Node::start(seed, chain.share()).await.unwrap();
        tokio::time::timeout(Duration::from_secs(60), node.connected(1))
            .await
            .unwrap();
        node.stop().await;
        seed.stop().await;
    }
}
