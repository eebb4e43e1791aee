//! The engine as a whole, over an in-memory network of scripted peers, in virtual time.
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

mod consensus;
mod happy;
mod liars;
mod live;
mod outcomes;
mod proof_lies;
mod proofs;
mod property;
mod restored;
mod sybils;
