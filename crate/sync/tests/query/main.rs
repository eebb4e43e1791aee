//! Questions to the network, and what becomes of them: over the in-memory network, in virtual time,
//! with peers that answer as whole nodes do, or lie.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::large_enum_variant
)]

#[path = "../support/mod.rs"]
mod support;

mod block_lies;
mod blocks;
mod life;
mod load;
mod state;
mod state_lies;
mod world;
