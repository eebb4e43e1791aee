//! Keys with known trapdoors, and randomness that a failing test can be repeated with.

use std::sync::OnceLock;

use pico_zkp::simulator::Trapdoor;
use pico_zkp::{PreparedVerifyingKey, Statement, VerifyingKey};

/// A key and a proof under it.
pub(crate) struct Case {
    pub(crate) trapdoor: Trapdoor,
    pub(crate) key: VerifyingKey,
    pub(crate) prepared: PreparedVerifyingKey,
    pub(crate) statement: Statement,
    pub(crate) proof: Vec<u8>,
}

impl Case {
    fn new(trapdoor: Trapdoor) -> Self {
        let statement = Statement {
            anchor: [0xa5; 32],
            head: [0x3c; 32],
        };
        let key = trapdoor.verifying_key();
        let prepared = key.prepare().expect("a good key");
        let proof = trapdoor.prove(&statement);
        assert_eq!(prepared.verify(&statement, &proof), Ok(()));
        Self {
            trapdoor,
            key,
            prepared,
            statement,
            proof,
        }
    }

    /// Of an election-chain proof.
    pub(crate) fn chain() -> &'static Self {
        static CASE: OnceLock<Case> = OnceLock::new();
        CASE.get_or_init(|| Self::new(Trapdoor::chain(1, 5, 328)))
    }

    /// Of a proof of version 1.
    pub(crate) fn v1() -> &'static Self {
        static CASE: OnceLock<Case> = OnceLock::new();
        CASE.get_or_init(|| Self::new(Trapdoor::v1(1, 5, 0)))
    }

    /// Where the proof's points are.
    pub(crate) fn parts(&self) -> [std::ops::Range<usize>; 3] {
        let length = self.proof.len();
        [0..95, 95..length - 95, length - 95..length]
    }
}

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    /// From `PICO_TEST_SEED`, which is printed, so that a failure names it.
    pub(crate) fn new() -> Self {
        let seed = match std::env::var("PICO_TEST_SEED") {
            Ok(seed) if seed == "random" => std::process::id().into(),
            Ok(seed) => seed.parse().expect("a number or `random`"),
            Err(_) => 20_261_123,
        };
        println!("PICO_TEST_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit as u64) as usize
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.number() as u8).collect()
    }

    pub(crate) fn flip(&mut self, bytes: &mut [u8]) {
        let index = self.below(bytes.len());
        bytes[index] ^= 1 << self.below(8);
    }
}

/// How many cases are tried: `PICO_TEST_CASES`, or `default`.
pub(crate) fn cases(default: usize) -> usize {
    std::env::var("PICO_TEST_CASES")
        .ok()
        .map_or(default, |cases| cases.parse().expect("a number"))
}
