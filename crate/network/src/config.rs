//! What a [`Network`](crate::Network) is made with.

use libp2p::{Multiaddr, identity::Keypair};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::peer_info::{NodeType, Services};
use thiserror::Error;

#[cfg(not(target_family = "wasm"))]
use crate::transport::webrtc::certificate::Certificate;
use crate::{
    address,
    capacity::Capacity,
    limits,
    peers::{Transport, Transports},
    saved::SavedContacts,
};

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
    /// Whether peers that we dial are told neither services nor addresses, as a light client does,
    /// whatever others are told. Default false.
    pub client_to_dialled: bool,
    /// How much there is room for. Default: what suits a client.
    pub capacity: Capacity,
    /// Whether loopback and private addresses from the contact book may be dialled. Default false.
    pub allow_loopback: bool,
    /// Whether only `/wss` and `/webrtc-direct` may be dialled, as from a page that came over https.
    /// Default false.
    pub secure_only: bool,
    /// Transports that may be used, as far as they are [available](Transports::available). Default all.
    pub transports: Transports,
    /// Certificate of the WebRTC listeners, whose hash is part of their addresses. Default a new one at
    /// each start.
    #[cfg(not(target_family = "wasm"))]
    pub certificate: Option<Certificate>,
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
            client_to_dialled: false,
            capacity: Capacity::client(),
            allow_loopback: false,
            secure_only: false,
            transports: Transports::ALL,
            #[cfg(not(target_family = "wasm"))]
            certificate: None,
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
        let wanted = self.transports;
        let usable = self.usable_transports();
        if !usable.websocket && !usable.webrtc {
            let kind = match wanted.webrtc {
                true => Transport::WebRtc,
                false => Transport::WebSocket,
            };
            return Err(ConfigError::NoTransport(kind));
        }
        let mut left_out = None;
        let mut left = 0;
        for seed in &self.seeds {
            match address::transport_of(seed) {
                None => return Err(ConfigError::Seed(seed.clone())),
                Some(kind) if !usable.contains(kind) => left_out = Some(kind),
                Some(_) if self.secure_only && !address::is_secure(seed) => {
                    return Err(ConfigError::InsecureSeed(seed.clone()));
                }
                Some(_) => left += 1,
            }
        }
        match left_out {
            Some(kind) if left == 0 => Err(ConfigError::NothingToDial(kind)),
            _ => Ok(()),
        }
    }

    /// The transports that are wanted and available.
    pub(crate) fn usable_transports(&self) -> Transports {
        self.transports.and(Transports::available())
    }

    /// Those of the seeds whose transport is wanted and available.
    pub(crate) fn usable_seeds(&self) -> Vec<Multiaddr> {
        let usable = self.usable_transports();
        let mut seeds = self.seeds.clone();
        seeds.retain(|seed| {
            let off = address::transport_of(seed).filter(|kind| !usable.contains(*kind));
            if let Some(kind) = off {
                log::debug!("seed {seed} is left out: {}", kind.why_off());
            }
            off.is_none()
        });
        seeds
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
            .field("transports", &self.transports)
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
    /// A seed of a form that nothing can dial.
    #[error("seed {0} can't be dialled: unsupported form")]
    Seed(Multiaddr),
    /// A seed without encryption, where only encrypted ones may be dialled.
    #[error("seed {0} can't be dialled: only wss and webrtc-direct are allowed here")]
    InsecureSeed(Multiaddr),
    /// None of the transports wanted is available. Of those, this is one.
    #[error("nothing to connect with: {}", .0.why_off())]
    NoTransport(Transport),
    /// All seeds are of this transport, which is not available, or not wanted.
    #[error("none of the addresses to begin with can be dialled: {}", .0.why_off())]
    NothingToDial(Transport),
    /// The transport couldn't be set up.
    #[error("transport: {0}")]
    Transport(String),
}
