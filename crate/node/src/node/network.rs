//! The real network stack, set up for many nodes on one machine.

use std::{
    io,
    net::{IpAddr, TcpListener},
    num::NonZeroU8,
    sync::Arc,
    time::{Duration, SystemTime},
};

use nimiq_blockchain_proxy::BlockchainProxy;
use nimiq_dht::Verifier;
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{Multiaddr, Protocol, peer_info::Services};
use nimiq_network_libp2p::{
    Config, Keypair, Network, NetworkError, discovery::peer_contacts::PeerContact,
};

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
        seeds,
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
    };
    Ok((network, listening))
}

impl Listening {
    /// Listens, starts to connect to others, and returns the address with port and peer id.
    pub(crate) async fn start(self) -> Result<Multiaddr, NodeError> {
        let Self { network, address } = self;
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
        network.start_connecting().await;
        Ok(actual.with(Protocol::P2p(*network.local_peer_id())))
    }
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
