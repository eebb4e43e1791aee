//! Transactions: proven, sent, watched and followed, over the in-memory network, in virtual time, with
//! peers that answer as whole nodes do, or lie.
#![allow(
    dead_code,
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
#[path = "../query/world.rs"]
mod world;

mod honest;
mod lies;
mod life;
mod real;
