//! Nothing that a peer can send makes the chain or a verification job panic. Real blocks and jobs
//! are damaged byte by byte, so that many of them still decode and get far.
//!
//! `PICO_TEST_SEED` and `PICO_TEST_CASES` change what is tried and how much of it.
#![allow(
    clippy::result_large_err,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod pool;

use std::collections::BTreeMap;

use nimiq_block::Block;
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_serde::{Deserialize, Serialize};
use pico_node::chain::{Mutation, Signing};
use pico_sync::{
    Clock, LightChain, VerifierError, VerifyJob,
    chain::{Inspected, Route},
    messages::BlockHeaderMessage,
};
use proptest::prelude::*;
use rand::{Rng, RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha20Rng;

use self::pool::{World, chain, params, rng};

/// How often to try.
fn cases(default: u64) -> u64 {
    pool::number_from_env("PICO_TEST_CASES").unwrap_or(default)
}

/// The chain as it is right before block `number`, or right after the last macro block before it.
fn chain_before(number: u32) -> LightChain {
    let world = World::get();
    let mut chain = chain();
    let mut push = |block: Block, route| {
        let proven = match chain.inspect(block, route).unwrap() {
            Inspected::Proven(proven) => *proven,
            Inspected::Unproven(unproven) => unproven.on_trust(),
            Inspected::Settled(result) => panic!("{result:?}"),
        };
        chain.commit(proven).unwrap();
    };
    let macro_blocks = (232..number).step_by(32);
    let last = macro_blocks.clone().next_back().unwrap_or(200);
    macro_blocks.for_each(|number| push(world.block(number), Route::Macro));
    world
        .range(last + 1, number - 1)
        .for_each(|block| push(block, Route::Live));
    chain
}

/// Changes some bytes, as often as not in a way that keeps the length.
fn damage(bytes: &mut Vec<u8>, donor: &[u8], rng: &mut ChaCha20Rng) {
    for _ in 0..rng.random_range(1..4) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..8) {
            0..3 => bytes[at] ^= 1 << rng.random_range(0..8),
            3 => bytes[at] = rng.random(),
            4 => bytes[at] = *[0, 1, 0x7f, 0x80, 0xff].choose(rng).unwrap(),
            5 => {
                let end = bytes.len().min(at + rng.random_range(1..100));
                rng.fill_bytes(&mut bytes[at..end]);
            }
            6 => {
                // A piece of another block, in the same place or elsewhere.
                let from = match rng.random_bool(0.5) {
                    true => at.min(donor.len() - 1),
                    false => rng.random_range(0..donor.len()),
                };
                let length = rng.random_range(1..100);
                let piece = &donor[from..donor.len().min(from + length)];
                let end = bytes.len().min(at + piece.len());
                bytes.splice(at..end, piece.iter().copied());
            }
            _ => match rng.random_range(0..3) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, rng.random()),
                _ => bytes.truncate(at),
            },
        }
    }
}

/// The message that announces a block.
fn announcement(block: &Block) -> BlockHeaderMessage {
    match block.clone() {
        Block::Macro(block) => BlockHeaderMessage::Macro {
            header: block.header,
            justification: block.justification.unwrap(),
        },
        Block::Micro(block) => BlockHeaderMessage::Micro {
            header: block.header,
            justification: block.justification.unwrap(),
        },
    }
}

/// Micro, skip, checkpoint and election blocks of the real chain.
const NUMBERS: [u32; 7] = [201, 205, 232, 240, 251, 328, 338];

#[test]
fn damaged_blocks_are_refused_or_taken_and_never_panicked_on() {
    println!("PICO_TEST_SEED={}", pool::seed());
    let world = World::get();
    let mut rng = rng(1);
    let targets = NUMBERS.map(|number| (world.block(number), chain_before(number)));
    let mut verdicts: BTreeMap<String, u64> = BTreeMap::new();
    let (mut decoded, mut announced) = (0, 0);
    let cases = cases(20_000);
    for _ in 0..cases {
        let (block, chain) = targets.choose(&mut rng).unwrap();
        let (donor, _) = targets.choose(&mut rng).unwrap();
        let donor = donor.serialize_to_vec();
        // What is gossiped is laid out differently.
        if rng.random_bool(0.2) {
            let mut bytes = announcement(block).serialize_to_vec();
            damage(&mut bytes, &donor, &mut rng);
            if let Ok(message) = BlockHeaderMessage::deserialize_from_vec(&bytes) {
                announced += 1;
                let _ = chain.inspect(message.into(), Route::Live);
            }
            continue;
        }
        let mut bytes = block.serialize_to_vec();
        damage(&mut bytes, &donor, &mut rng);
        let Ok(mut block) = Block::deserialize_from_vec(&bytes) else {
            continue;
        };
        decoded += 1;
        // Signed again, a damaged block gets further.
        if let Block::Micro(micro) = &mut block
            && !micro.is_skip_block()
            && rng.random_bool(0.5)
        {
            world.validator.sign_micro(micro);
        }
        for route in [Route::Live, Route::Macro] {
            let verdict = match chain.inspect(block.clone(), route) {
                Ok(Inspected::Settled(result)) => format!("{result:?}"),
                Ok(Inspected::Proven(proven)) => {
                    // Taken: it must not harm what comes.
                    let mut chain = chain.clone();
                    chain.commit(*proven).unwrap();
                    let next = chain.head().block_number() + 1;
                    assert!(chain.get_proposer_at(next, next).is_ok());
                    "Proven".into()
                }
                Ok(Inspected::Unproven(_)) => "Unproven".into(),
                Err(error) => format!("{error:?}"),
            };
            *verdicts.entry(verdict).or_default() += 1;
        }
    }
    println!("{decoded} of {cases} blocks decoded, {announced} as announcements: {verdicts:#?}");
    if cases >= 10_000 {
        assert!(decoded > cases / 4);
        assert!(announced > cases / 20);
        for verdict in ["Proven", "Unproven", "Orphan", "InvalidBlock(InvalidSeed)"] {
            assert!(verdicts.contains_key(verdict), "{verdict}");
        }
    }
}

#[test]
fn damaged_anchors_are_refused_or_gone_on_from_and_never_panicked_on() {
    println!("PICO_TEST_SEED={}", pool::seed());
    let world = World::get();
    let mut rng = rng(2);
    let anchors = [pool::genesis(), world.macro_block(328)];
    let following: Vec<Block> = [201, 205, 232, 328, 329, 338, 360, 456]
        .map(|number| world.block(number))
        .into();
    let mut accepted = 0;
    let cases = cases(3_000);
    for _ in 0..cases {
        let anchor = anchors.choose(&mut rng).unwrap();
        let mut bytes = Block::Macro(anchor.clone()).serialize_to_vec();
        let donor = following.choose(&mut rng).unwrap().serialize_to_vec();
        damage(&mut bytes, &donor, &mut rng);
        let Ok(Block::Macro(anchor)) = Block::deserialize_from_vec(&bytes) else {
            continue;
        };
        let Ok(chain) = LightChain::starting_at(params(), Clock::system(), anchor.clone()) else {
            continue;
        };
        accepted += 1;
        let head = chain.head().block_number();
        assert_eq!(head, anchor.block_number());
        assert!(chain.get_proposer_at(head + 1, head + 1).is_ok());
        for following in &following {
            // As it is, and made to fit.
            let mut fitting = following.clone();
            match &mut fitting {
                Block::Macro(block) => {
                    block.header.cached_hash = None;
                    block.header.parent_hash = anchor.hash();
                    block.header.parent_election_hash = anchor.hash();
                }
                Block::Micro(block) => {
                    block.header.cached_hash = None;
                    block.header.parent_hash = anchor.hash();
                    block.header.block_number = head + 1;
                    block.header.timestamp = anchor.timestamp() + 4000;
                    block.header.seed = anchor.header.seed.clone();
                }
            }
            for block in [following, &fitting] {
                for route in [Route::Live, Route::Macro] {
                    let _ = chain.inspect(block.clone(), route);
                }
            }
        }
        let _ = chain.macro_locators();
        let _ = chain.block_locators();
    }
    println!("{accepted} of {cases} anchors accepted");
    if cases >= 1_000 {
        assert!(accepted > cases / 20);
    }
}

/// Jobs of each kind of block, good ones.
fn jobs() -> Vec<VerifyJob> {
    use std::sync::{Arc, Mutex};

    use futures::future::{BoxFuture, FutureExt};
    use pico_sync::Verifier;

    /// Keeps the job.
    #[derive(Clone, Default)]
    struct Keep(Arc<Mutex<Option<VerifyJob>>>);

    impl Verifier for Keep {
        fn verify(&self, job: VerifyJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
            *self.0.lock().unwrap() = Some(job);
            async { Ok(true) }.boxed()
        }
    }

    let jobs = [(205, Route::Live), (232, Route::Live), (328, Route::Macro)];
    jobs.map(|(number, route)| {
        let block = World::get().block(number);
        let Ok(Inspected::Unproven(unproven)) = chain_before(number).inspect(block, route) else {
            panic!("{number} needs no proof?");
        };
        let keep = Keep::default();
        let proven = unproven.prove(&keep).now_or_never().unwrap().unwrap();
        assert_eq!(proven.unwrap().block().block_number(), number);
        keep.0.lock().unwrap().take().unwrap()
    })
    .into()
}

#[test]
fn jobs_come_to_the_same_elsewhere() {
    for job in jobs() {
        let bytes = job.to_bytes();
        assert!(job.run());
        assert_eq!(VerifyJob::run_bytes(&bytes), Ok(true));

        // All there, and nothing more.
        for end in (0..bytes.len()).step_by(7) {
            assert_eq!(
                VerifyJob::run_bytes(&bytes[..end]),
                Err(VerifierError::Malformed)
            );
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(VerifyJob::run_bytes(&longer), Err(VerifierError::Malformed));
    }
}

#[test]
fn damaged_jobs_are_refused_or_fail_and_never_panic() {
    println!("PICO_TEST_SEED={}", pool::seed());
    let mut rng = rng(3);
    let jobs = jobs();
    let donor = World::get().block(328).serialize_to_vec();
    let (mut malformed, mut refuted, mut held) = (0, 0, 0);
    for _ in 0..cases(600) {
        let mut bytes = jobs.choose(&mut rng).unwrap().to_bytes();
        damage(&mut bytes, &donor, &mut rng);
        match VerifyJob::run_bytes(&bytes) {
            Err(VerifierError::Malformed) => malformed += 1,
            Err(error) => panic!("{error}"),
            Ok(false) => refuted += 1,
            // What is not signed can change: a root in a skip block, say.
            Ok(true) => held += 1,
        }
    }
    println!("{malformed} malformed, {refuted} refuted, {held} held");
}

/// The seed of a skip block is read to know what the votes are for.
#[test]
fn a_job_whose_block_has_a_broken_seed_does_not_panic() {
    let world = World::get();
    for (number, job) in [205, 232, 328].into_iter().zip(jobs()) {
        let block = world.block(number);
        let bad = Mutation::Seed
            .apply(&block, Signing::Keep, &world.stranger)
            .unwrap();
        assert!(bad.seed().try_entropy().is_none());
        let (good, bad) = (block.serialize_to_vec(), bad.serialize_to_vec());
        let mut bytes = job.to_bytes();
        assert!(bytes.ends_with(&good));
        bytes.truncate(bytes.len() - good.len());
        bytes.extend(bad);
        assert_ne!(VerifyJob::run_bytes(&bytes), Ok(true), "{number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(2_000)
    })]

    #[test]
    fn noise_is_no_job(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert_eq!(VerifyJob::run_bytes(&bytes), Err(VerifierError::Malformed));
    }
}
