//! Randomness that a failing test can be repeated with.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// What the generator starts from unless told otherwise: a run repeats the one before it.
const DEFAULT_SEED: u64 = 20_261_122;

/// A generator seeded by `PICO_TEST_SEED`: a number, or `random` to look for new cases. The seed is
/// printed, so that a failure names it.
pub fn rng() -> ChaCha20Rng {
    let seed = match std::env::var("PICO_TEST_SEED") {
        Ok(seed) if seed == "random" => rand::rng().random(),
        Ok(seed) => seed
            .parse()
            .expect("PICO_TEST_SEED is a number or `random`"),
        Err(_) => DEFAULT_SEED,
    };
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
