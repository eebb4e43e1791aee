//! Proving the election chain, epoch by epoch.
//!
//! [`Elections`] are the election blocks there are, each checked against the one before it: those of a
//! file, or what a [`Follower`] gets of a node. [`Proving`] proves each on top of the last proof in a
//! store. It keeps nothing in mind that isn't in the store, so it can be killed at any point and goes on
//! from there.
//!
//! The proofs themselves are made by an [`EpochProver`].

mod elections;
mod follow;
#[cfg(feature = "prover")]
mod groth16;
mod proving;

#[cfg(feature = "prover")]
pub use self::groth16::{Groth16Prover, make_development_keys};
pub use self::{
    elections::{ElectionError, Elections},
    follow::{FollowError, Follower},
    proving::{Epoch, EpochProver, Progress, ProveError, ProverError, Proving, Task},
};
