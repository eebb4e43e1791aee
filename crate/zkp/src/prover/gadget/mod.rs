//! The pieces of the circuits that arkworks does not have. Each says what it enforces, and what it relies
//! on others to have enforced.

pub(super) mod bits;
pub(super) mod blake2s;
pub(super) mod groth16;
pub(super) mod header;
pub(super) mod subgroup;
pub(super) mod validators;
pub(super) mod vote;
