//! Randomness that a failing test can be repeated with.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// A generator seeded by `PICO_TEST_SEED`, or by chance. The seed is printed, so that a failure
/// names it.
pub fn rng() -> ChaCha20Rng {
    let seed = std::env::var("PICO_TEST_SEED")
        .ok()
        .map(|seed| seed.parse().expect("PICO_TEST_SEED is a number"))
        .unwrap_or_else(|| rand::rng().random());
    println!("PICO_TEST_SEED={seed}");
    ChaCha20Rng::seed_from_u64(seed)
}

/// How many cases a property is tried with: `PICO_TEST_CASES`, or `default`.
pub fn cases(default: usize) -> usize {
    std::env::var("PICO_TEST_CASES")
        .ok()
        .map_or(default, |cases| {
            cases.parse().expect("PICO_TEST_CASES is a number")
        })
}
