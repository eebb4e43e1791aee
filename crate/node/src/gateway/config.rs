//! What a gateway is started with.

use std::path::PathBuf;

use nimiq_genesis::NetworkInfo;
use nimiq_hash::Blake2bHash;
use nimiq_primitives::{networks::NetworkId, policy::Policy};
use pico_network::{Capacity, Certificate, Config, Keypair, Multiaddr, Services};

use super::{GatewayError, limits};

/// What a gateway is started with.
#[derive(Clone)]
pub struct GatewayConfig {
    /// The network it is on.
    pub network: NetworkId,
    /// Its identity, Ed25519. With another one its addresses change.
    pub identity: Keypair,
    /// The certificate of its WebRTC listeners, whose hash is part of their addresses. Without one, they
    /// have a new one at each start.
    pub certificate: Option<Certificate>,
    /// The nodes it relays to. All of them are connected to, as far as they can be reached.
    pub upstreams: Vec<Multiaddr>,
    /// Where it listens.
    pub listen: Vec<Multiaddr>,
    /// What others are told to dial, instead of what it listens on.
    pub announce: Vec<Multiaddr>,
    /// A folder with proofs of the election chain. Without it, requests for them are relayed.
    pub proofs: Option<PathBuf>,
    /// Whether loopback and private addresses may be told to others.
    pub allow_loopback: bool,
    /// Clients it has room for.
    pub max_clients: u32,
    /// Connections from one IP address; any number if not set.
    pub max_clients_per_ip: Option<u32>,
}

impl GatewayConfig {
    /// A gateway with the usual limits, and without proofs of its own.
    pub fn new(
        network: NetworkId,
        identity: Keypair,
        upstreams: Vec<Multiaddr>,
        listen: Vec<Multiaddr>,
    ) -> Self {
        Self {
            network,
            identity,
            certificate: None,
            upstreams,
            listen,
            announce: Vec::new(),
            proofs: None,
            allow_loopback: false,
            max_clients: limits::DEFAULT_MAX_CLIENTS,
            max_clients_per_ip: None,
        }
    }

    /// Refuses what can't work.
    pub(super) fn check(&self) -> Result<(), GatewayError> {
        if self.upstreams.is_empty() {
            return Err(GatewayError::NoUpstream);
        }
        if self.listen.is_empty() {
            return Err(GatewayError::NoListener);
        }
        let counts = [
            ("upstreams", self.upstreams.len()),
            ("addresses to listen on", self.listen.len()),
            ("announced addresses", self.announce.len()),
        ];
        for (what, count) in counts {
            if count > limits::MAX_ADDRESSES {
                return Err(GatewayError::TooMany {
                    what,
                    count,
                    most: limits::MAX_ADDRESSES,
                });
            }
        }
        Ok(())
    }

    /// Installs the network's policy in this process, and returns the hash of its genesis block.
    pub(super) fn install_network(&self) -> Result<Blake2bHash, GatewayError> {
        if !self.network.is_albatross() {
            return Err(GatewayError::Network(self.network.to_string()));
        }
        let info = NetworkInfo::from_network_id(self.network);
        let wanted = Policy {
            genesis_block_number: info.genesis_block().block_number(),
            max_supported_version: info.max_supported_version(),
            ..Policy::default_for_network(self.network)
        };
        if Policy::get_or_init(wanted) != wanted {
            return Err(GatewayError::Policy);
        }
        Ok(info.genesis_hash().clone())
    }

    /// The network that the gateway is on.
    pub(super) fn swarm(&self, genesis_hash: Blake2bHash) -> Config {
        let clients = usize::try_from(self.max_clients).unwrap_or(usize::MAX);
        let mut config = Config::new(self.identity.clone(), genesis_hash, Vec::new());
        config.certificate = self.certificate.clone();
        config.desired_peers = 1;
        config.max_connections = self.max_clients.max(1);
        config.provided_services = Services::empty();
        config.client_to_dialled = true;
        config.allow_loopback = self.allow_loopback;
        // It dials its upstreams and nobody else, whatever others tell it of.
        config.max_contacts = 0;
        config.capacity = Capacity {
            connections_per_ip: self.max_clients_per_ip,
            ..Capacity::server(clients)
        };
        config
    }
}

impl std::fmt::Debug for GatewayConfig {
    // Spelled out so that no key ever ends in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayConfig")
            .field("network", &self.network)
            .field("peer_id", &self.identity.public().to_peer_id())
            .field("upstreams", &self.upstreams)
            .field("listen", &self.listen)
            .field("announce", &self.announce)
            .field("proofs", &self.proofs)
            .field("allow_loopback", &self.allow_loopback)
            .field("max_clients", &self.max_clients)
            .field("max_clients_per_ip", &self.max_clients_per_ip)
            .finish()
    }
}
