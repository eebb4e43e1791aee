//! Proofs of the election chain: where they are kept, and how peers get them.
//!
//! A [`ProofStore`] is a folder with a file for each proof. [`serve`] answers the requests of the v1
//! protocol (type 211) on any network: which proof is the latest is up to a [`ProofSource`], be it a
//! store or one that makes them up, and which blocks there are is up to [`ElectionBlocks`].
//!
//! Making proofs is the business of the module `prove`.

mod message;
mod serve;
mod simulated;
mod store;
mod stored;

pub(crate) use self::serve::hash_of;
pub use self::{
    message::{RequestZKP, ZKProof, ZkpResponse},
    serve::{ElectionBlocks, LatestProof, ProofSource, answer, serve},
    simulated::SimulatedProofs,
    store::{ProofStore, StoreError, StoreLock},
    stored::{StoredProof, StoredProofError},
};
