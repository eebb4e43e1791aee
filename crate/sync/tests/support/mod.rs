//! What the engine's scenario tests share: an in-memory network of scripted peers in virtual time,
//! real chains for them to serve, and a harness that runs an engine and keeps its events.
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

pub mod blocks;
pub mod engine;
pub mod network;
pub mod peer;
pub mod proofs;
pub mod seed;
pub mod swarms;
pub mod verifiers;
