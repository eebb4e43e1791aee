//! What is handed out: events of engine and network as one kind, and the state as one object. Field
//! names and spellings are those of the public API.

use pico_network::{NetworkNotice, PeerStatus, service_names};
use pico_sync::{BlockRef, ConsensusState, Outcome, Snapshot, SyncerKind, Trust};
use serde::Serialize;

/// Something that the network reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum NetworkEvent {
    /// A peer can be used.
    PeerJoined {
        /// Its id.
        peer_id: String,
        /// Where it was reached.
        address: String,
        /// How.
        transport: &'static str,
    },
    /// A peer is gone.
    PeerLeft {
        /// Its id.
        peer_id: String,
        /// Why.
        reason: String,
    },
    /// An address could not be reached.
    DialFailed {
        /// The address.
        address: String,
        /// Why.
        reason: String,
    },
    /// The page was too busy to take events; so many were dropped.
    Lagged {
        /// How many.
        missed: u64,
    },
}

impl From<NetworkNotice> for NetworkEvent {
    fn from(notice: NetworkNotice) -> Self {
        match notice {
            NetworkNotice::PeerJoined {
                peer_id,
                address,
                transport,
                services: _,
            } => Self::PeerJoined {
                peer_id: peer_id.to_string(),
                address: address.to_string(),
                transport: transport.as_str(),
            },
            NetworkNotice::PeerLeft {
                peer_id,
                reason,
                cause: _,
            } => Self::PeerLeft {
                peer_id: peer_id.to_string(),
                reason,
            },
            NetworkNotice::DialFailed {
                address,
                reason,
                error: _,
            } => Self::DialFailed {
                address: address.to_string(),
                reason,
            },
        }
    }
}

/// An event of the network and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timed<E> {
    /// Unix milliseconds.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: E,
}

/// A block as the state shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Its number.
    pub block_number: u32,
    /// Its hash, hex.
    pub hash: String,
    /// Unix milliseconds.
    pub timestamp: u64,
}

impl From<&BlockRef> for Head {
    fn from(block: &BlockRef) -> Self {
        Self {
            block_number: block.number,
            hash: block.hash.to_hex(),
            timestamp: block.timestamp,
        }
    }
}

/// An election block as the state shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ElectionHead {
    /// The block.
    #[serde(flatten)]
    pub head: Head,
    /// The epoch that it ended.
    pub epoch: u32,
}

/// The state at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientState {
    consensus: ConsensusState,
    trust: Trust,
    head: Head,
    macro_head: Head,
    election_head: ElectionHead,
    peers: usize,
    good_peers: usize,
    syncer: SyncerKind,
    bytes_received: u64,
    bytes_sent: u64,
}

impl ClientState {
    /// The engine's state and the network's counters (bytes) together.
    pub fn new(snapshot: &Snapshot, bytes_received: u64, bytes_sent: u64) -> Self {
        Self {
            consensus: snapshot.consensus,
            trust: snapshot.trust,
            head: (&snapshot.head).into(),
            macro_head: (&snapshot.macro_head).into(),
            election_head: ElectionHead {
                head: (&snapshot.election_head).into(),
                epoch: snapshot.epoch,
            },
            peers: snapshot.peers,
            good_peers: snapshot.good_peers,
            syncer: snapshot.syncer,
            bytes_received,
            bytes_sent,
        }
    }
}

/// A connected peer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its id.
    pub peer_id: String,
    /// Where it was reached.
    pub address: String,
    /// How.
    pub transport: &'static str,
    /// Round trip in milliseconds, once measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    /// What macro sync made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What it offers.
    pub services: Vec<&'static str>,
}

impl Peer {
    /// A connected peer, and what macro sync made of it so far.
    pub fn new(status: &PeerStatus, outcome: Option<Outcome>) -> Self {
        Self {
            peer_id: status.peer_id.to_string(),
            address: status.address.to_string(),
            transport: status.transport.as_str(),
            rtt_ms: status.rtt.map(|rtt| rtt.as_secs_f64() * 1_000.0),
            outcome,
            services: service_names(status.services),
        }
    }
}
