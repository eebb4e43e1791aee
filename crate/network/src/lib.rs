//! The network layer of a Nimiq light client: a libp2p swarm of its own that speaks Nimiq's wire
//! protocols, natively and in the browser, and implements
//! [`nimiq_network_interface::network::Network`].
//!
//! A [`Network`] dials nodes over WebSocket and gateways over WebRTC as well, does Nimiq's discovery handshake with each, keeps a book
//! of the peer contacts it hears of, holds the desired number of connections, sends and answers
//! requests, and takes part in gossip. What the messages mean is not its business: the engine on top
//! decides which peer is useful, which message is acceptable and whom to ban.
//!
//! Everything that arrives is treated as hostile: every frame, list, queue and wait is bounded (the
//! numbers stand in [`limits`]), and a peer that breaks the rules is dropped with a typed
//! [`LeaveReason`].
//!
//! How the modules divide the work:
//! - `transport` makes authenticated, multiplexed connections: the seam for further transports;
//! - `discovery`, `reqres` and `gossip` are the wire protocols; `contacts` is what discovery fills;
//! - `pool` decides whom to dial and when, `gate` whom to refuse, `saved` is what outlives the page;
//! - `swarm` is the one task that owns the libp2p swarm; [`Network`] talks to it through channels.

mod address;
mod address_text;
mod behaviour;
mod capacity;
mod clock;
mod command;
mod config;
pub mod contacts;
pub mod discovery;
mod error;
mod gate;
mod gossip;
mod handle;
mod interface;
pub mod limits;
mod peers;
mod pool;
pub mod reqres;
mod saved;
#[cfg(not(target_family = "wasm"))]
mod server;
mod swarm;
mod traffic;
mod transport;

pub use address::{AddressError, validate_multiaddr};
pub use capacity::Capacity;
pub use config::{Config, ConfigError};
pub use error::{
    DialError, DiscoveryError, DiscoveryState, LeaveReason, ListenError, NetworkError, Violation,
};
pub use gossip::{Direction, GossipId};
pub use handle::{Dropped, Network, NetworkNotice, NoticeStream};
pub use libp2p::{Multiaddr, PeerId, identity::Keypair, request_response::InboundRequestId};
pub use nimiq_network_interface::peer_info::Services;
pub use peers::{PeerStatus, Transport, Transports, service_names};
pub use saved::{SavedContacts, SavedError, identity_from_secret, new_identity, secret_of};
#[cfg(not(target_family = "wasm"))]
pub use server::{RawRequest, RawRequests, refusal};
pub use traffic::Traffic;
#[cfg(not(target_family = "wasm"))]
pub use transport::webrtc::certificate::{Certificate, CertificateError};
