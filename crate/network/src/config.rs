//! What a [`Network`](crate::Network) is made with.

use libp2p::{Multiaddr, identity::Keypair};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::peer_info::{NodeType, Services};
use thiserror::Error;

use crate::{address, limits, saved::SavedContacts, transport};

/// Configuration of a [`Network`](crate::Network). [`Config::new`] fills in what a light client needs.
#[derive(Clone)]
pub struct Config {
    /// Identity of this client. Must be Ed25519: peer contacts carry nothing else.
    pub identity: Keypair,
    /// Genesis hash of the network; peers with another one are dropped in the handshake.
    pub genesis_hash: Blake2bHash,
    /// Addresses dialled first. They are trusted to be meant: also private and loopback ones.
    pub seeds: Vec<Multiaddr>,
    /// Peers with the required services to hold. Default 8.
    pub desired_peers: usize,
    /// Connections of any kind, of both directions each. Default 128.
    pub max_connections: u32,
    /// Services advertised to others. Default none: a light client.
    pub provided_services: Services,
    /// Services others must offer to be dialled from the contact book. Default accounts proofs.
    pub required_services: Services,
    /// Addresses advertised to others. Default none: a browser can't be dialled.
    pub advertised_addresses: Vec<Multiaddr>,
    /// Whether loopback and private addresses from the contact book may be dialled. Default false.
    pub allow_loopback: bool,
    /// Whether only `/wss` may be dialled, as from a page that came over https. Default false.
    pub secure_only: bool,
    /// Contacts kept in the book. Default [`limits::MAX_CONTACTS`].
    pub max_contacts: usize,
    /// Peers that an earlier run knew. Default none.
    pub contacts: SavedContacts,
}

impl Config {
    /// The configuration of a light client.
    pub fn new(identity: Keypair, genesis_hash: Blake2bHash, seeds: Vec<Multiaddr>) -> Self {
        Self {
            identity,
            genesis_hash,
            seeds,
            desired_peers: 8,
            max_connections: 128,
            provided_services: Services::provided(NodeType::Pico),
            required_services: Services::required(NodeType::Pico),
            advertised_addresses: Vec::new(),
            allow_loopback: false,
            secure_only: false,
            max_contacts: limits::MAX_CONTACTS,
            contacts: SavedContacts::default(),
        }
    }

    /// Refuses what can't work, naming the value.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.identity.public().try_into_ed25519().is_err() {
            return Err(ConfigError::Identity);
        }
        if self.desired_peers == 0 || self.desired_peers > self.max_connections as usize {
            return Err(ConfigError::DesiredPeers(self.desired_peers));
        }
        if self.advertised_addresses.len() > limits::MAX_ADDRESSES_PER_CONTACT {
            return Err(ConfigError::AdvertisedAddresses(
                self.advertised_addresses.len(),
            ));
        }
        for seed in &self.seeds {
            if !address::transport_of(seed).is_some_and(transport::can_dial) {
                return Err(ConfigError::Seed(seed.clone()));
            }
            if self.secure_only && !address::is_secure(seed) {
                return Err(ConfigError::InsecureSeed(seed.clone()));
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Config {
    // Spelled out so that no key ever ends in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("peer_id", &self.identity.public().to_peer_id())
            .field("genesis_hash", &self.genesis_hash)
            .field("seeds", &self.seeds)
            .field("desired_peers", &self.desired_peers)
            .field("required_services", &self.required_services)
            .field("allow_loopback", &self.allow_loopback)
            .field("secure_only", &self.secure_only)
            .finish_non_exhaustive()
    }
}

/// Why a network can't be made from a [`Config`].
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The identity is of another kind than Ed25519.
    #[error("the identity key must be Ed25519")]
    Identity,
    /// None, or more than connections are allowed.
    #[error("desired peers: {0} is not between 1 and the connection limit")]
    DesiredPeers(usize),
    /// More advertised addresses than a contact can hold.
    #[error("{0} advertised addresses, at most 15 fit in a contact")]
    AdvertisedAddresses(usize),
    /// A seed that no transport of this build can dial.
    #[error("seed {0} can't be dialled: unsupported form")]
    Seed(Multiaddr),
    /// A seed without encryption, where only encrypted ones may be dialled.
    #[error("seed {0} can't be dialled: only wss is allowed here")]
    InsecureSeed(Multiaddr),
    /// The transport couldn't be set up.
    #[error("transport: {0}")]
    Transport(String),
}
