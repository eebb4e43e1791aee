//! Circuits, setup and prover.
//!
//! Two circuits take turns on the cycle of MNT4-753 and MNT6-753: [`step`] proves one link of the chain and
//! verifies the proof of all links before it; [`wrapper`] moves that proof to the other curve, where the
//! next step can verify it. The step's proof is what clients get: verifying on MNT4-753 is cheaper.

mod commitment;
mod gadget;
mod keys;
mod prove;
mod step;
mod witness;
mod wrapper;

use std::fmt;

pub use keys::{KeyFileError, ProvingKeys, SetupError, derive_verifying_key};
pub use prove::{Link, ProveError, StepProof, prove_step, wrap};
pub use witness::BlockError;

/// Slots in an epoch.
const SLOTS: u16 = 512;
/// Slots that have to sign: two thirds of all, and one.
const QUORUM: u16 = 342;
/// Version of the blocks that the circuits can take: from 2 on a block's hash covers its validators' slots,
/// signing keys and addresses.
const PROTOCOL_VERSION: u16 = 2;

/// What circuits are made for. Other parameters, other keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parameters {
    /// The network, as blocks name it.
    pub network: u8,
    /// Blocks between two election blocks.
    pub blocks_per_epoch: u32,
    /// Number of the election block that proofs start from. No circuit depends on it.
    pub anchor_number: u32,
    /// How many validators an election block may elect.
    pub max_validators: usize,
}

/// Those of the network for development. Its genesis is of protocol version 1 and its first election block,
/// the anchor, raises it to 2.
pub const UNIT_ALBATROSS: Parameters = Parameters {
    network: 7,
    blocks_per_epoch: 128,
    anchor_number: 328,
    max_validators: 4,
};

/// What the keys of [`UNIT_ALBATROSS`] are made from. Whoever reads this can forge proofs under them.
pub const DEVELOPMENT_SEED: [u8; 32] = *b"pico-sync unit-albatross dev key";

/// What is being made, for those who wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// The keys of the step circuit.
    StepKeys,
    /// The keys of the wrapper circuit.
    WrapperKeys,
    /// The step proof of the block with this number.
    Step(u32),
    /// The wrapper's proof of it.
    Wrapper(u32),
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StepKeys => f.write_str("making the keys of the step circuit"),
            Self::WrapperKeys => f.write_str("making the keys of the wrapper circuit"),
            Self::Step(number) => write!(f, "proving block {number}"),
            Self::Wrapper(number) => write!(f, "wrapping the proof of block {number}"),
        }
    }
}

/// The public inputs of both circuits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Inputs {
    pub(crate) anchor: [u8; 32],
    pub(crate) head: [u8; 32],
    pub(crate) keys: [u8; 31],
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
