//! Real Nimiq nodes for development and tests.
//!
//! Everything here runs the unmodified `nimiq-*` crates on the network `unit-albatross`, whose
//! genesis block, validator keys and short epochs (32 blocks a batch, 4 batches an epoch) are
//! public and made for tests. Nothing here is for use with coins of any value.
//!
//! - [`chain`] builds chains of real blocks quickly, forks them and mutilates them on purpose.
//! - [`node`] runs full nodes inside this process.
//! - [`devnet`] makes a network of them.
//! - [`gateway`] relays between light clients and nodes.
//! - [`liar`] adds peers that lie.
//! - [`proofs`] keeps proofs of the election chain and serves them, [`prove`] makes them.
//!
//! The light client itself is elsewhere; this crate only gives it someone to talk to.

pub mod chain;
pub mod devnet;
pub mod gateway;
pub mod liar;
pub mod node;
pub mod proofs;
pub mod prove;
