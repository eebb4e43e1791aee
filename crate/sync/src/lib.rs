//! The sync engine of a Nimiq light client: chain, macro sync, live sync, consensus.
//!
//! It is generic over [`nimiq_network_interface::network::Network`], so the same engine runs over
//! our own swarm, over the one of a full node, and over an in-memory network in tests. It does no
//! I/O of its own, knows no JavaScript and no libp2p. Expensive checks go through a [`Verifier`].

pub mod chain;
mod clock;
mod consensus;
mod event;
mod header;
pub mod limits;
mod live;
pub mod macro_sync;
pub mod messages;
mod numbered;
mod params;
mod peer_tasks;
pub mod query;
mod requests;
mod saved;
mod shared;
mod verifier;

pub use chain::{BlockRef, LightChain};
pub use clock::Clock;
pub use consensus::{Consensus, Handle, ProofConfig, SyncConfig, SyncMode};
pub use event::{
    ConsensusState, EventBus, HeadKind, Outcome, Snapshot, StallAction, StorageRecord,
    StorageStatus, SyncEvent, SyncerKind, TimedEvent, Trust, TrustSource, ZkpStatus,
};
pub use params::{Anchor, NetworkParams};
pub use query::Queries;
pub use saved::{SavedChain, SavedError};
#[cfg(not(target_family = "wasm"))]
pub use verifier::PoolVerifier;
pub use verifier::{InPlaceVerifier, ProofCheck, ProofJob, Verifier, VerifierError, VerifyJob};
