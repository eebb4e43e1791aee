//! What our light chain holds to on its own, without another one to compare it with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err
)]

mod pool;

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use futures::future::{BoxFuture, FutureExt};
use nimiq_block::{Block, BlockError, MacroBlock};
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_collections::bitset::BitSet;
use nimiq_primitives::policy::Policy;
use pico_node::chain::{Mutation, Signing};
use pico_sync::{
    BlockRef, Clock, InPlaceVerifier, LightChain, Verifier, VerifierError, VerifyJob,
    chain::{Inspected, Proven, PushError, PushResult, Pushed, Route},
    limits,
};

use self::pool::{Office, World, chain, params, rng};

/// Our chain, with the real blocks up to `number`.
fn chain_at(number: u32) -> LightChain {
    let mut chain = chain();
    let world = World::get();
    let last_macro = Policy::last_macro_block(number);
    for macro_block in (1..)
        .map(|batch| Policy::macro_block_of(batch).unwrap())
        .take_while(|number| *number <= last_macro)
    {
        let proven = inspect_on_trust(&chain, world.block(macro_block), Route::Macro);
        chain.commit(proven).unwrap();
    }
    for block in world.range(last_macro + 1, number) {
        let proven = inspect_on_trust(&chain, block, Route::Live);
        chain.commit(proven).unwrap();
    }
    assert_eq!(chain.head().block_number(), number);
    chain
}

/// What there is to commit of a block whose signatures are known to be good.
fn inspect_on_trust(chain: &LightChain, block: Block, route: Route) -> Proven {
    match chain.inspect(block, route).unwrap() {
        Inspected::Proven(proven) => *proven,
        Inspected::Unproven(unproven) => unproven.on_trust(),
        Inspected::Settled(result) => panic!("{result:?}"),
    }
}

fn invalid<T>(error: BlockError) -> Result<T, PushError> {
    Err(PushError::InvalidBlock(error))
}

/// Checks as [`InPlaceVerifier`] does, and counts.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Verifier for Counting {
    fn verify(&self, job: VerifyJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        InPlaceVerifier::default().verify(job)
    }
}

/// Never comes to a result.
struct Broken;

impl Verifier for Broken {
    fn verify(&self, _: VerifyJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        async { Err(VerifierError::Unavailable("gone".into())) }.boxed()
    }
}

/// Inspects, has the signatures checked by `verifier` and commits.
async fn push_in_steps(
    chain: &mut LightChain,
    block: Block,
    route: Route,
    verifier: &dyn Verifier,
) -> Result<Pushed, PushError> {
    let proven = match chain.inspect(block, route)? {
        Inspected::Settled(result) => {
            return Ok(Pushed {
                result,
                adopted: Vec::new(),
                reverted: Vec::new(),
            });
        }
        Inspected::Proven(proven) => *proven,
        Inspected::Unproven(unproven) => unproven.prove(verifier).await.unwrap()?,
    };
    chain.commit(proven)
}

#[tokio::test]
async fn steps_come_to_the_same_as_a_push() {
    let world = World::get();
    let office = world.office_at(200);
    let mut rng = rng(1);
    let verifier = Counting::default();
    let (mut whole, mut steps) = (chain(), chain());

    let mut compare = async |block: &Block, route| {
        let pushed = whole.push(block.clone(), route);
        let in_steps = push_in_steps(&mut steps, block.clone(), route, &verifier).await;
        assert_eq!(pushed, in_steps, "{block}");
        assert_eq!(whole.head(), steps.head());
        assert_eq!(whole.macro_head(), steps.macro_head());
        assert_eq!(whole.election_head(), steps.election_head());
        assert_eq!(whole.stored_blocks(), steps.stored_blocks());
        pushed
    };

    let mut expensive = 0;
    for block in world.range(201, 235) {
        // Some others first: a fork, an orphan, and bad signatures.
        if block.is_micro() && block.block_number() == 210 {
            let fork = office.micro(&world.block(208), 1, &mut rng);
            let verdict = compare(&fork, Route::Live).await.unwrap();
            assert_eq!(verdict.result, PushResult::Forked);
            let orphan = office.micro(&world.block(211), 1, &mut rng);
            assert_eq!(compare(&orphan, Route::Live).await, Err(PushError::Orphan));
        }
        if block.is_macro() || block.is_skip() {
            for mutation in [Mutation::BadSignature, Mutation::TooFewSigners] {
                let bad = mutation.apply(&block, Signing::Keep, &world.stranger);
                let verdict = compare(&bad.unwrap(), Route::Live).await;
                let error = match block.is_skip() {
                    true => BlockError::InvalidSkipBlockProof,
                    false => BlockError::InvalidJustification,
                };
                assert_eq!(verdict, invalid(error));
                expensive += 1;
            }
            expensive += 1;
        }
        let verdict = compare(&block, Route::Live).await.unwrap();
        assert_eq!(verdict.result, PushResult::Extended);
        assert_eq!(verdict.adopted, [BlockRef::from(&block)]);
        let again = compare(&block, Route::Live).await.unwrap();
        assert_ne!(again.result, PushResult::Extended);
    }
    for number in [264, 328] {
        compare(&world.block(number), Route::Macro).await.unwrap();
        expensive += 1;
    }
    assert_eq!(verifier.0.load(Ordering::Relaxed), expensive);
}

#[tokio::test]
async fn a_check_that_fails_to_run_says_nothing_of_the_block() {
    let chain = chain();
    let block = World::get().block(232);
    let Ok(Inspected::Unproven(unproven)) = chain.inspect(block, Route::Macro) else {
        panic!("a macro block needs no proof?");
    };
    let result = unproven.prove(&Broken).await;
    assert_eq!(
        result.map(|_| ()),
        Err(VerifierError::Unavailable("gone".into()))
    );
}

#[test]
fn inspecting_changes_nothing() {
    let chain = chain_at(210);
    let world = World::get();
    for number in 201..240 {
        for route in [Route::Live, Route::Macro] {
            let _ = chain.inspect(world.block(number), route);
        }
    }
    assert_eq!(chain.head(), &world.block(210));
    assert_eq!(chain.stored_blocks(), 11);
}

#[test]
fn a_block_is_inspected_again_if_the_chain_has_changed() {
    let world = World::get();
    let office = world.office_at(200);
    let mut rng = rng(2);
    let start = chain_at(210);

    // It was committed by somebody else.
    let mut chain = start.clone();
    let next = world.block(211);
    let first = inspect_on_trust(&chain, next.clone(), Route::Live);
    let second = inspect_on_trust(&chain, next.clone(), Route::Live);
    assert_eq!(chain.commit(first).unwrap().result, PushResult::Extended);
    assert_eq!(chain.commit(second).unwrap().result, PushResult::Known);

    // A sibling was.
    let mut chain = start.clone();
    let sibling = office.micro(&world.block(210), 1, &mut rng);
    let proven = inspect_on_trust(&chain, next.clone(), Route::Live);
    chain.push(sibling.clone(), Route::Live).unwrap();
    assert_eq!(chain.commit(proven).unwrap().result, PushResult::Forked);
    assert_eq!(chain.head().hash(), sibling.hash());

    // The batch was finalised.
    let mut chain = start.clone();
    let proven = inspect_on_trust(&chain, next.clone(), Route::Live);
    let finalised = inspect_on_trust(&chain, world.block(232), Route::Macro);
    chain.commit(finalised).unwrap();
    assert_eq!(chain.commit(proven).unwrap().result, PushResult::Ignored);

    // The head has moved on under a macro block whose signatures were being checked. They are
    // those of the same validators still.
    let mut chain = start.clone();
    let finalised = inspect_on_trust(&chain, world.block(232), Route::Macro);
    chain.push(next.clone(), Route::Live).unwrap();
    assert_eq!(
        chain.commit(finalised).unwrap().result,
        PushResult::Extended
    );
    assert_eq!(chain.head().hash(), world.block(232).hash());

    // Another macro block was first.
    let mut chain = start.clone();
    let other = office.macro_at(232, &next, &[], BitSet::new(), &mut rng);
    let late = inspect_on_trust(&chain, other, Route::Macro);
    let finalised = inspect_on_trust(&chain, world.block(232), Route::Macro);
    chain.commit(finalised).unwrap();
    assert_eq!(chain.commit(late).unwrap().result, PushResult::Ignored);
    assert_eq!(chain.macro_head().hash(), world.block(232).hash());

    // After an election block, the macro route takes what the next epoch has, and nothing of the one
    // after it.
    let mut chain = chain_at(300);
    let election = inspect_on_trust(&chain, world.block(328), Route::Macro);
    chain.commit(election).unwrap();
    assert!(matches!(
        chain.inspect(world.block(392), Route::Macro),
        Ok(Inspected::Unproven(_))
    ));
    assert_eq!(
        chain.inspect(world.block(488), Route::Macro).map(|_| ()),
        invalid(BlockError::InvalidParentElectionHash)
    );
}

/// When the chain is replaced, as a fallback does, blocks may be under way that were inspected and
/// proven on the old one. The new chain must not take them on that word: somebody else may have
/// signed them.
#[test]
fn a_block_proven_on_another_chain_is_inspected_again() {
    let world = World::get();
    let mut rng = rng(3);
    let honest_office = world.office_at(328);
    let honest = world.macro_block(328);

    // Somebody invents an election block that elects themselves, and goes on from there.
    let mut forged = honest.clone();
    forged.header.validators = Some(world.stranger.validators());
    forged.header.cached_hash = None;
    let office = Office::new(vec![world.stranger.clone()], forged.clone(), forged.clone());
    let start = |anchor: &MacroBlock| {
        LightChain::starting_at(params(), Clock::system(), anchor.clone()).unwrap()
    };
    let old = start(&forged);
    let parent = Block::Macro(forged);
    let checkpoint = office.macro_at(360, &parent, &[], BitSet::new(), &mut rng);
    let micro = office.micro(&parent, 1, &mut rng);
    let proven = |block: &Block, route| match old.inspect(block.clone(), route).unwrap() {
        Inspected::Unproven(unproven) => unproven.prove_in_place().unwrap(),
        Inspected::Proven(proven) => *proven,
        Inspected::Settled(result) => panic!("{result:?}"),
    };

    // However many changes the new chain has seen.
    for changes in 0..4 {
        let mut new = start(&honest);
        for block in world.range(329, 328 + changes) {
            new.push(block, Route::Live).unwrap();
        }
        let head = new.head().clone();
        assert!(new.commit(proven(&checkpoint, Route::Macro)).is_err());
        assert_eq!(
            new.commit(proven(&micro, Route::Live)),
            Err(PushError::Orphan)
        );
        assert_eq!(new.head(), &head);
        assert_eq!(new.macro_head().hash(), honest.hash());
    }

    // Not even one that could be an honest block, if the signatures of others were checked.
    let mut disguised = honest_office
        .macro_at(
            360,
            &Block::Macro(honest.clone()),
            &[],
            BitSet::new(),
            &mut rng,
        )
        .unwrap_macro();
    world.stranger.sign_macro(&mut disguised);
    let mut old = start(&honest);
    let Ok(Inspected::Unproven(unproven)) = old.inspect(Block::Macro(disguised), Route::Macro)
    else {
        panic!("a macro block needs no proof?");
    };
    let on_trust = unproven.clone().on_trust();
    assert_eq!(
        unproven.prove_in_place().map(|_| ()),
        invalid(BlockError::InvalidJustification)
    );
    let mut new = start(&honest);
    assert_eq!(
        new.commit(on_trust.clone()),
        Err(PushError::InvalidSuccessor)
    );
    // Where it was inspected, trust was given on purpose.
    assert!(old.commit(on_trust).is_ok());
}

#[test]
fn memory_does_not_grow_with_the_chain() {
    let world = World::get();
    let mut chain = chain();
    let bound = 2 * Policy::blocks_per_batch() as usize + 2;
    let mut most = 0;
    for block in &world.blocks {
        let proven = inspect_on_trust(&chain, block.clone(), Route::Live);
        chain.commit(proven).unwrap();
        most = most.max(chain.stored_blocks());
        assert!(most <= bound, "{most} headers at {block}");
        assert_eq!(chain.main_chain().count(), chain.stored_blocks());
        assert_eq!(
            chain.main_chain().last().map(Block::hash),
            Some(block.hash())
        );
    }
    assert!(most > Policy::blocks_per_batch() as usize);

    // Forks go with the batch that they are in.
    let mut rng = rng(4);
    let mut chain = chain_at(264);
    let without_forks = {
        let mut chain = chain.clone();
        for number in [296, 328] {
            let proven = inspect_on_trust(&chain, world.block(number), Route::Macro);
            chain.commit(proven).unwrap();
        }
        chain.stored_blocks()
    };
    let office = world.office_at(264);
    for block in world.range(265, 270) {
        let fork = office.micro(chain.head(), 1, &mut rng);
        chain.push(block, Route::Live).unwrap();
        assert_eq!(
            chain.push(fork, Route::Live).unwrap().result,
            PushResult::Forked
        );
    }
    for number in [296, 328] {
        let proven = inspect_on_trust(&chain, world.block(number), Route::Macro);
        chain.commit(proven).unwrap();
    }
    assert_eq!(chain.stored_blocks(), without_forks);
}

#[test]
fn recent_election_blocks_are_remembered() {
    let world = World::get();
    let mut chain = chain();
    let mut office = world.office_at(200);
    let mut rng = rng(5);
    let elected = std::slice::from_ref(&world.validator);
    let mut elections = vec![BlockRef::from(&pool::genesis())];
    for epoch in 1..limits::REMEMBERED_ELECTIONS as u32 + 5 {
        let number = Policy::election_block_of(epoch).unwrap();
        let parent = chain.head().clone();
        let block = office.macro_at(number, &parent, elected, BitSet::new(), &mut rng);
        office = office.after(&block, elected);
        elections.push(BlockRef::from(&block));
        let proven = inspect_on_trust(&chain, block, Route::Macro);
        chain.commit(proven).unwrap();
        // The last one, and at most the one before.
        assert!(chain.stored_blocks() <= 2);
    }

    let (forgotten, remembered) =
        elections.split_at(elections.len() - limits::REMEMBERED_ELECTIONS);
    let other = world.block(201).hash();
    for block in remembered {
        assert!(chain.knows_election(&block.hash));
        assert!(!chain.contradicts(block.number, &block.hash));
        assert!(chain.contradicts(block.number, &other));
    }
    for block in forgotten {
        assert!(!chain.knows_election(&block.hash));
        assert!(!chain.contradicts(block.number, &other));
    }
    assert!(!chain.knows_election(&other));
    // Of what is to come we know nothing.
    let next = Policy::election_block_after(chain.head().block_number());
    assert!(!chain.contradicts(next, &other));
    // Nor of blocks that are no election blocks.
    assert!(!chain.contradicts(next - 1, &other));
}

#[test]
fn locators_are_our_blocks_newest_first() {
    let world = World::get();
    let hash = |number: u32| match number {
        200 => pool::genesis().hash(),
        _ => world.block(number).hash(),
    };

    let at_genesis = chain();
    assert_eq!(at_genesis.macro_locators(), [hash(200)]);
    assert_eq!(at_genesis.block_locators(), [hash(200)]);

    let in_a_batch = chain_at(340);
    assert_eq!(in_a_batch.macro_locators(), [hash(328)]);
    let expected: Vec<_> = (328..=340).rev().map(hash).collect();
    assert_eq!(in_a_batch.block_locators(), expected);

    let mut at_a_checkpoint = chain_at(360);
    assert_eq!(at_a_checkpoint.macro_locators(), [hash(360), hash(328)]);
    assert_eq!(at_a_checkpoint.block_locators(), [hash(360)]);

    // Along the branch that the head is on.
    let office = world.office_at(360);
    let mut rng = rng(6);
    at_a_checkpoint.push(world.block(361), Route::Live).unwrap();
    let mut branch = vec![world.block(360)];
    for _ in 0..2 {
        let block = office.micro(&branch[branch.len() - 1], 1, &mut rng);
        at_a_checkpoint.push(block.clone(), Route::Live).unwrap();
        branch.push(block);
    }
    let expected: Vec<_> = branch.iter().rev().map(Block::hash).collect();
    assert_eq!(at_a_checkpoint.block_locators(), expected);
    assert!(!at_a_checkpoint.is_on_main_chain(&hash(361)));
    assert!(at_a_checkpoint.block(&hash(361)).is_some());

    // Never more than a node reads.
    let longest = chain_at(359).block_locators().len();
    assert_eq!(longest, Policy::blocks_per_batch() as usize);
    assert!(longest <= limits::MAX_LOCATORS);
}

#[test]
fn an_anchor_must_be_fit_to_go_on_from() {
    let world = World::get();
    let honest = world.macro_block(328);
    let start = |anchor| LightChain::starting_at(params(), Clock::system(), anchor).map(|_| ());
    assert_eq!(start(honest.clone()), Ok(()));
    assert_eq!(start(pool::genesis()), Ok(()));
    // A checkpoint block elects nobody.
    assert_eq!(
        start(world.macro_block(232)),
        invalid(BlockError::InvalidValidators)
    );

    let damaged = |mutation: Mutation| {
        let block = Block::Macro(honest.clone());
        let bad = mutation.apply(&block, Signing::Keep, &world.stranger);
        start(bad.unwrap().unwrap_macro())
    };
    for (mutation, error) in [
        (Mutation::Seed, BlockError::InvalidSeed),
        (Mutation::SlotGap, BlockError::InvalidValidators),
        (Mutation::ValidatorsPresence, BlockError::InvalidValidators),
        (
            Mutation::PunishedSetOutOfRange,
            BlockError::InvalidPunishedSet,
        ),
        (Mutation::Network, BlockError::NetworkMismatch),
        (Mutation::UnknownVersion, BlockError::UnsupportedVersion),
        (Mutation::LongExtraData, BlockError::ExtraDataTooLarge),
        (Mutation::Number(1), BlockError::InvalidBlockType),
    ] {
        assert_eq!(damaged(mutation), invalid(error), "{mutation:?}");
    }
    // No mutation makes it panic.
    for mutation in Mutation::ALL {
        let block = Block::Macro(honest.clone());
        if let Some(bad) = mutation.apply(&block, Signing::Keep, &world.stranger) {
            let _ = start(bad.unwrap_macro());
        }
    }

    // Sets that no election comes to.
    let with = |change: &dyn Fn(&mut Vec<nimiq_primitives::slots_allocation::Validator>)| {
        let mut anchor = honest.clone();
        let mut validators = Office::share_out(&world.committee).validators;
        change(&mut validators);
        anchor.header.validators = Some(nimiq_primitives::slots_allocation::Validators::new(
            validators,
        ));
        anchor.header.cached_hash = None;
        start(anchor)
    };
    assert_eq!(with(&|_| {}), Ok(()));
    let bad = invalid(BlockError::InvalidValidators);
    assert_eq!(with(&|all| all.clear()), bad);
    assert_eq!(with(&|all| all.reverse()), bad);
    assert_eq!(with(&|all| all[0].slots.end += 1), bad);
    assert_eq!(with(&|all| all[0].slots.start = 1), bad);
    assert_eq!(with(&|all| all[4].slots.end = u16::MAX), bad);
    assert_eq!(with(&|all| all[1].address = all[0].address.clone()), bad);
    assert_eq!(
        with(&|all| all[0].slots = std::ops::Range { start: 9, end: 3 }),
        bad
    );
    assert_eq!(with(&|all| drop(all.pop())), bad);
}

/// Whatever time an anchor claims to be of, what is built on it is judged and not panicked on.
#[test]
fn the_time_of_an_anchor_does_no_harm() {
    let world = World::get();
    let mut rng = rng(7);
    for timestamp in [0, 1 << 53, i64::MAX as u64, u64::MAX - 4000, u64::MAX] {
        let mut anchor = world.macro_block(328);
        anchor.header.timestamp = timestamp;
        anchor.header.cached_hash = None;
        let office = Office::new(
            vec![world.validator.clone()],
            anchor.clone(),
            anchor.clone(),
        );
        let Ok(mut chain) = LightChain::starting_at(params(), Clock::system(), anchor.clone())
        else {
            assert!(timestamp > i64::MAX as u64);
            continue;
        };
        let parent = Block::Macro(anchor);
        for block in [office.skip(&parent), office.micro(&parent, 1, &mut rng)] {
            let result = chain.push(block, Route::Live).map(|pushed| pushed.result);
            // Skip blocks come before their siblings, so the second is but kept.
            assert!(result.is_ok(), "{timestamp}: {result:?}");
        }
        let checkpoint = office.macro_at(360, &parent, &[], BitSet::new(), &mut rng);
        assert!(chain.push(checkpoint, Route::Macro).is_ok());
    }
}

#[test]
fn blocks_from_the_future_wait_for_the_clock_or_the_chain() {
    let world = World::get();
    let now = Arc::new(AtomicU64::new(0));
    let clock = Clock::new({
        let now = now.clone();
        move || now.load(Ordering::Relaxed)
    });
    let anchor = world.macro_block(328);
    let start = anchor.timestamp();
    let parent = Block::Macro(anchor.clone());
    let office = world.office_at(328);
    let mut rng = rng(8);
    let mut chain = LightChain::starting_at(params(), clock, anchor).unwrap();
    let drift = Policy::TIMESTAMP_MAX_DRIFT;

    // The clock is decades behind: the chain counts, so that the client goes on.
    let next = office.micro(&parent, drift, &mut rng);
    let too_late = office.micro(&parent, drift + 1, &mut rng);
    assert_eq!(
        chain.push(too_late.clone(), Route::Live),
        invalid(BlockError::InvalidTimestamp)
    );
    chain.push(next.clone(), Route::Live).unwrap();
    // And goes on counting.
    let later = office.micro(&next, drift, &mut rng);
    chain.push(later.clone(), Route::Live).unwrap();
    assert_eq!(
        chain.push(office.micro(&later, drift + 1, &mut rng), Route::Live),
        invalid(BlockError::InvalidTimestamp)
    );
    // Either route.
    let checkpoint = |later_by| {
        let mut rng = pool::rng(9);
        let parent = office.micro(&later, later_by - 1000, &mut rng);
        office.macro_at(360, &parent, &[], BitSet::new(), &mut rng)
    };
    assert_eq!(
        chain.push(checkpoint(drift + 1), Route::Macro),
        invalid(BlockError::InvalidTimestamp)
    );

    // The clock is ahead of the chain: it counts.
    now.store(start + 3 * drift, Ordering::Relaxed);
    assert_eq!(
        chain.push(checkpoint(2 * drift + 1), Route::Macro),
        invalid(BlockError::InvalidTimestamp)
    );
    assert!(chain.push(checkpoint(2 * drift), Route::Macro).is_ok());
}

#[test]
fn an_unproven_checkpoint_can_be_proven_later() {
    let world = World::get();
    assert!(chain_at(328).unproven_checkpoint().is_none());
    let job = chain_at(360).unproven_checkpoint().unwrap();
    assert_eq!(job.block_number(), 360);
    assert!(job.run());

    let mut chain = chain_at(340);
    let bad = Mutation::BadSignature.apply(&world.block(360), Signing::Keep, &world.stranger);
    let proven = inspect_on_trust(&chain, bad.unwrap(), Route::Macro);
    chain.commit(proven).unwrap();
    assert!(!chain.unproven_checkpoint().unwrap().run());
}

#[test]
fn slots_are_known_from_the_last_macro_block_on() {
    let chain = chain_at(340);
    for number in [0, 1, 200, 327, 328, 342, u32::MAX] {
        assert!(chain.get_proposer_at(number, 0).is_err(), "{number}");
    }
    for number in 329..=341 {
        assert!(chain.get_proposer_at(number, number).is_ok(), "{number}");
    }
    assert!(chain.get_proposer_of(&chain.head().hash()).is_ok());
}
