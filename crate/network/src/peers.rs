//! The table of connected peers, shared between the swarm task, which alone writes it, and the
//! handles, which read it.

use std::{collections::HashMap, time::Duration};

use libp2p::{Multiaddr, PeerId};
use nimiq_network_interface::peer_info::{PeerInfo, Services};
use parking_lot::RwLock;

use crate::transport;

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP and WebSocket, the only transport nodes listen on.
    WebSocket,
    /// WebRTC data channels, as a gateway offers them.
    WebRtc,
}

impl Transport {
    /// The name used in the public API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::WebRtc => "webrtc",
        }
    }

    /// Why it can't be used although an address asks for it.
    pub(crate) fn why_off(self) -> &'static str {
        match (Transports::available().contains(self), self) {
            (true, Self::WebSocket) => "WebSocket is not among the transports that may be used",
            (true, Self::WebRtc) => "WebRTC is not among the transports that may be used",
            (false, Self::WebSocket) => "WebSocket is not available here",
            (false, Self::WebRtc) => "WebRTC is not available here: there is no RTCPeerConnection",
        }
    }
}

/// Which transports may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transports {
    /// [`Transport::WebSocket`].
    pub websocket: bool,
    /// [`Transport::WebRtc`].
    pub webrtc: bool,
}

impl Transports {
    /// Every one there is.
    pub const ALL: Self = Self {
        websocket: true,
        webrtc: true,
    };

    /// Those that this build has and its surroundings let it use. In a browser, WebRTC exists on the
    /// main thread of a page only, and not there either if somebody has taken it away.
    pub fn available() -> Self {
        transport::available()
    }

    /// Whether this one may be used.
    pub fn contains(self, kind: Transport) -> bool {
        match kind {
            Transport::WebSocket => self.websocket,
            Transport::WebRtc => self.webrtc,
        }
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            websocket: self.websocket && other.websocket,
            webrtc: self.webrtc && other.webrtc,
        }
    }
}

/// The services of the protocol by name.
const SERVICES: [(Services, &str); 8] = [
    (Services::FULL_BLOCKS, "full-blocks"),
    (Services::HISTORY, "history"),
    (Services::ACCOUNTS_PROOF, "accounts-proof"),
    (Services::ACCOUNTS_CHUNKS, "accounts-chunks"),
    (Services::MEMPOOL, "mempool"),
    (Services::TRANSACTION_INDEX, "transaction-index"),
    (Services::VALIDATOR, "validator"),
    (
        Services::PRE_GENESIS_TRANSACTIONS,
        "pre-genesis-transactions",
    ),
];

/// The names of services, as they are used in the public API.
pub fn service_names(services: Services) -> Vec<&'static str> {
    SERVICES
        .iter()
        .filter(|(service, _)| services.contains(*service))
        .map(|(_, name)| *name)
        .collect()
}

/// One connected peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its id.
    pub peer_id: PeerId,
    /// The address it was reached at or came from.
    pub address: Multiaddr,
    /// What carries the connection.
    pub transport: Transport,
    /// Whether we dialled it, so that the address is one to come back to.
    pub dialled: bool,
    /// Round trip of the last ping; `None` until the first has come back.
    pub rtt: Option<Duration>,
    /// The services it offers, by its own signed contact.
    pub services: Services,
    /// The services that we offered when it came: it was told no later change.
    pub told: Services,
}

/// Peers that have completed the discovery handshake.
#[derive(Debug, Default)]
pub(crate) struct PeerTable {
    peers: RwLock<HashMap<PeerId, PeerStatus>>,
}

impl PeerTable {
    pub(crate) fn insert(&self, status: PeerStatus) {
        self.peers.write().insert(status.peer_id, status);
    }

    pub(crate) fn remove(&self, peer: &PeerId) -> Option<PeerStatus> {
        self.peers.write().remove(peer)
    }

    pub(crate) fn clear(&self) {
        self.peers.write().clear();
    }

    pub(crate) fn set_rtt(&self, peer: &PeerId, rtt: Duration) {
        if let Some(status) = self.peers.write().get_mut(peer) {
            status.rtt = Some(rtt);
        }
    }

    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        self.peers.read().contains_key(peer)
    }

    pub(crate) fn ids(&self) -> Vec<PeerId> {
        self.peers.read().keys().copied().collect()
    }

    pub(crate) fn all(&self) -> Vec<PeerStatus> {
        self.peers.read().values().cloned().collect()
    }

    pub(crate) fn get(&self, peer: &PeerId) -> Option<PeerStatus> {
        self.peers.read().get(peer).cloned()
    }

    pub(crate) fn info(&self, peer: &PeerId) -> Option<PeerInfo> {
        let peers = self.peers.read();
        let status = peers.get(peer)?;
        Some(PeerInfo::new(status.address.clone(), status.services))
    }

    pub(crate) fn offers(&self, peer: &PeerId, services: Services) -> bool {
        self.peers
            .read()
            .get(peer)
            .is_some_and(|status| status.services.contains(services))
    }

    pub(crate) fn with_services(&self, services: Services) -> Vec<PeerId> {
        let peers = self.peers.read();
        peers
            .values()
            .filter(|status| status.services.contains(services))
            .map(|status| status.peer_id)
            .collect()
    }

    /// How many lack some of these services.
    pub(crate) fn without_services(&self, services: Services) -> usize {
        let peers = self.peers.read();
        let lacks = |status: &&PeerStatus| !status.services.contains(services);
        peers.values().filter(lacks).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.peers.read().len()
    }
}
