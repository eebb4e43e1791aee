//! Election-chain proofs: that from one election block to another there is a chain of election blocks,
//! each signed by enough of the slots that the one before elected.
//!
//! The verifier is always there. Circuits, setup and prover come with the feature `prover`, natively only.
//! Which blocks a proof is asked for, and what follows from it, is left to the engine.

mod curve;
mod field;
mod key;
mod pairing;
#[cfg(feature = "prover")]
pub mod prover;
#[cfg(feature = "simulator")]
pub mod simulator;
mod verify;

pub use key::{KeyError, VerifyingKey, chain, v1};
pub use verify::{PreparedVerifyingKey, ProofError, Statement};
