//! What the verifier takes and what it refuses, for both kinds of keys.
//!
//! `PICO_TEST_SEED` repeats a run, or looks for new cases if it is `random`. `PICO_TEST_CASES` sets how many there are.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used
)]

mod accepted;
mod mutations;
mod points;
mod real;
mod support;
