//! Our light chain against the one of a 2.3.0 node: the same blocks go into both, in the same
//! order, and after each of them verdicts and heads must be the same.
//!
//! A *stage* is a pair of chains in the same state somewhere on a real or a signed chain: around
//! checkpoints and elections, in an epoch of several validators, after a jump by the macro route.
//! From a stage a *scenario* grows a tree of valid blocks (forks, skip blocks, macro blocks on
//! several branches) and damages some of them. A *sequence* pushes blocks of one scenario in an
//! order that is more or less likely in the wild: parents first, late, twice, damaged, stale, on
//! either route.
//!
//! Signatures of macro and skip blocks take long to check. So each scenario opens with a sequence
//! in which such blocks abound, and most others go on from where that ended.
//!
//! `PICO_TEST_SEED` and `PICO_TEST_CASES` change the sequences and how many there are.
//!
//! Where we deviate on purpose:
//! - The node panics on some blocks, such as one that stands on a fork and claims a number too
//!   large, or a micro block on the macro route. We refuse those, and neither chain changes.
//! - On the macro route the node takes a block whose seed is no point of the curve, if only it is
//!   signed, and panics at the next block. We refuse it, before its signatures are looked at.
//! - A block may be ahead of our own clock if the head of the chain is. Here the clock is right, so
//!   this makes no difference.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::result_large_err
)]

#[path = "../pool/mod.rs"]
mod pool;
mod scenario;
mod stage;
mod tally;

use std::time::Instant;

use self::{scenario::Scenario, stage::stages, tally::Tally};

/// Sequences of one scenario.
const SEQUENCES_PER_SCENARIO: u64 = 100;

#[test]
fn verdicts_and_heads_are_those_of_a_node() {
    let cases = pool::number_from_env("PICO_TEST_CASES").unwrap_or(10_000);
    println!("PICO_TEST_SEED={} PICO_TEST_CASES={cases}", pool::seed());
    let started = Instant::now();
    let mut tally = Tally::default();
    let stages = stages(&mut tally);
    println!("{} stages after {:?}", stages.len(), started.elapsed());

    let mut number = 0;
    while tally.sequences < cases {
        // Each scenario has its own random numbers, so that one can be looked at alone.
        let mut rng = pool::rng(number);
        let stage = &stages[number as usize % stages.len()];
        number += 1;
        tally.enter(format!("scenario {number} at {}", stage.name));

        let scenario = Scenario::grow(stage, &mut rng);
        let opened = scenario.play(&stage.pair, &mut rng, &mut tally, 12, 3);
        for sequence in 1..SEQUENCES_PER_SCENARIO.min(cases) {
            // From the stage itself as often as after the opening.
            let start = match sequence % 2 {
                0 => &stage.pair,
                _ => &opened,
            };
            let (steps, expensive) = match sequence {
                1..=4 => (40, 2),
                _ => (16, 0),
            };
            scenario.play(start, &mut rng, &mut tally, steps, expensive);
        }
    }
    println!("{tally}after {:?}", started.elapsed());
    if cases >= 5_000 {
        tally.assert_complete();
    }
}
