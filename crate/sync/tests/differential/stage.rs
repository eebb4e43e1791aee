//! Where sequences start.

use nimiq_block::Block;
use nimiq_blockchain_interface::{PushError, PushResult};
use nimiq_collections::bitset::BitSet;
use nimiq_primitives::policy::Policy;
use pico_sync::{LightChain, chain::Route};
use rand_chacha::ChaCha20Rng;

use crate::{
    pool::{self, Office, Upstream, World},
    tally::{Tally, Verdict},
};

/// Our chain and a node's, in the same state.
pub(crate) struct Pair {
    pub(crate) ours: LightChain,
    theirs: Upstream,
}

impl Pair {
    fn new() -> Self {
        Self {
            ours: pool::chain(),
            theirs: Upstream::new(),
        }
    }

    /// A pair with the same state that goes its own way.
    pub(crate) fn copy(&self) -> Self {
        Self {
            ours: self.ours.clone(),
            theirs: self.theirs.copy(),
        }
    }

    /// Pushes a block on both chains and compares what comes of it. `false` if the two have parted
    /// in a way that is known (see the crate's documentation), so that nothing more can be compared.
    pub(crate) fn push(&mut self, block: &Block, route: Route, tally: &mut Tally) -> bool {
        let before = self.ours.head().clone();
        let theirs = tally.time(false, || self.theirs.push(block.clone(), route));
        let ours = tally.time(true, || self.ours.push(block.clone(), route));
        if let Ok(pushed) = &ours {
            self.check(&before, pushed);
        }
        let pushed = ours.as_ref().ok().cloned();
        let ours: Verdict = ours.map(|pushed| pushed.result);
        tally.count(&ours);

        let what = || format!("{}: {block} by {route:?}", tally.place);
        let Some(theirs) = theirs else {
            assert!(
                matches!(ours, Err(_) | Ok(PushResult::Known | PushResult::Ignored)),
                "{}: {ours:?} where the node panics",
                what()
            );
            tally.note("the node panicked");
            self.theirs.assert_same_heads(&self.ours);
            return true;
        };
        if route == Route::Macro && block.seed().try_entropy().is_none() && ours != theirs {
            let invalid_seed = nimiq_block::BlockError::InvalidSeed;
            assert_eq!(ours, Err(PushError::InvalidBlock(invalid_seed)));
            tally.note("a seed without entropy on the macro route");
            return theirs.is_err();
        }
        assert_eq!(ours, theirs, "{} (left: ours, right: theirs)", what());
        self.theirs.assert_same_heads(&self.ours);

        match (&ours, pushed) {
            (Ok(PushResult::Rebranched), Some(pushed)) => {
                if block.is_macro() {
                    tally.note("rebranched to a macro block");
                }
                if block.is_skip() {
                    tally.note("rebranched to a skip block");
                }
                if pushed.reverted.len() > 1 {
                    tally.note("rebranched over several blocks");
                }
            }
            (Ok(PushResult::Extended), _) if block.is_macro() => {
                tally.note(match (route, block.is_election()) {
                    (Route::Macro, true) => "election by the macro route",
                    (Route::Macro, false) => "checkpoint by the macro route",
                    (Route::Live, true) => "election by the live route",
                    (Route::Live, false) => "checkpoint by the live route",
                });
            }
            _ => {}
        }
        true
    }

    /// Holds that what our chain says it did is what it did.
    fn check(&self, before: &Block, pushed: &pico_sync::chain::Pushed) {
        let head = self.ours.head();
        let adopted = pushed.adopted.last().map(|block| &block.hash);
        let reverted = pushed.reverted.last().map(|block| &block.hash);
        match pushed.result {
            PushResult::Extended => {
                assert_eq!(pushed.adopted.len(), 1);
                assert_eq!(adopted, Some(&head.hash()));
                assert_eq!(reverted, None);
            }
            PushResult::Rebranched => {
                assert_eq!(adopted, Some(&head.hash()));
                assert_eq!(reverted, Some(&before.hash()));
                assert_eq!(pushed.adopted[0].number, pushed.reverted[0].number);
                for block in &pushed.reverted {
                    assert!(!self.ours.is_on_main_chain(&block.hash));
                }
                // Those that a macro block at the end has pushed out are gone.
                for block in &pushed.adopted {
                    assert_eq!(
                        self.ours.block_at(block.number).map(Block::hash),
                        self.ours.block(&block.hash).map(Block::hash)
                    );
                }
            }
            PushResult::Known | PushResult::Forked | PushResult::Ignored => {
                assert_eq!(head, before);
                assert_eq!((adopted, reverted), (None, None));
            }
        }
    }

    /// Compares everything there is to compare.
    pub(crate) fn assert_same_state(&self) {
        self.theirs.assert_same_state(&self.ours);
    }
}

/// A state to start from, and what is needed to go on.
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) pair: Pair,
    /// Signs what comes next.
    pub(crate) office: Office,
    /// The main chain from the last macro block on.
    pub(crate) batch: Vec<Block>,
    /// What was pushed before.
    pub(crate) past: Vec<Block>,
}

/// A chain in the making.
struct Timeline {
    pair: Pair,
    office: Office,
    batch: Vec<Block>,
    past: Vec<Block>,
    stages: Vec<Stage>,
    rng: ChaCha20Rng,
    tally: Tally,
}

impl Timeline {
    fn new(part: u64) -> Self {
        Self {
            pair: Pair::new(),
            office: World::get().office_at(Policy::genesis_block_number()),
            batch: vec![Block::Macro(pool::genesis())],
            past: Vec::new(),
            stages: Vec::new(),
            rng: pool::rng(u64::MAX - part),
            tally: Tally::default(),
        }
    }

    fn tip(&self) -> Block {
        self.batch[self.batch.len() - 1].clone()
    }

    /// Goes on with a block that must become the head. `elected` are those it elects.
    fn push(&mut self, block: Block, route: Route, elected: &[pico_node::chain::ValidatorKeys]) {
        assert!(self.pair.push(&block, route, &mut self.tally));
        assert_eq!(self.pair.ours.head().hash(), block.hash(), "{block}");
        self.past.push(block.clone());
        if block.is_macro() {
            self.office = self.office.after(&block, elected);
            self.batch.clear();
        }
        self.batch.push(block);
    }

    /// Goes on with the real chain up to block `number`.
    fn follow(&mut self, number: u32) -> &mut Self {
        let world = World::get();
        let validator = [world.validator.clone()];
        for block in world.range(self.tip().block_number() + 1, number) {
            self.push(block, Route::Live, &validator);
        }
        self
    }

    /// Goes on with the real chain's macro block `number`, whatever lies between.
    fn jump(&mut self, number: u32) -> &mut Self {
        let world = World::get();
        let validator = [world.validator.clone()];
        self.push(world.block(number), Route::Macro, &validator);
        self
    }

    /// Goes on with micro blocks of our own up to block `number`.
    fn extend(&mut self, number: u32) -> &mut Self {
        while self.tip().block_number() < number {
            let block = self.office.micro(&self.tip(), 1000, &mut self.rng);
            self.push(block, Route::Live, &[]);
        }
        self
    }

    /// Goes on with a macro block of our own.
    fn conclude(
        &mut self,
        elected: &[pico_node::chain::ValidatorKeys],
        punished: BitSet,
    ) -> &mut Self {
        let block = self
            .office
            .macro_on(&self.tip(), elected, punished, &mut self.rng);
        self.push(block, Route::Live, elected);
        self
    }

    /// Makes the present state a stage.
    fn stage(&mut self, name: &str) -> &mut Self {
        self.pair.assert_same_state();
        self.stages.push(Stage {
            name: format!("{name}, block {}", self.tip().block_number()),
            pair: self.pair.copy(),
            office: self.office.clone(),
            batch: self.batch.clone(),
            past: self.past.clone(),
        });
        self
    }
}

/// All stages. What is pushed on the way to them is compared and counted, too.
pub(crate) fn stages(tally: &mut Tally) -> Vec<Stage> {
    let world = World::get();
    let committee = &world.committee[..];
    let validator = std::slice::from_ref(&world.validator);
    let few: BitSet = [0, 5, 6, 7, 300, 301, 511].into_iter().collect();
    let all: BitSet = (0..usize::from(Policy::SLOTS)).collect();

    let mut real = Timeline::new(0);
    real.stage("genesis");
    real.follow(208).stage("after a skip block");
    real.follow(229).stage("before a checkpoint");
    real.follow(232).stage("a checkpoint");
    real.follow(252).stage("after two skip blocks");
    real.follow(325).stage("before an election");
    real.follow(328).stage("an election");
    real.follow(340).stage("the second epoch");
    real.follow(456).follow(460).stage("the third epoch");

    let mut jumped = Timeline::new(1);
    jumped.jump(232).jump(296).stage("after a jump");
    jumped
        .follow(302)
        .jump(328)
        .stage("after a jump to an election");

    // From here on by our own hands: several validators, and slots that are punished.
    let mut forged = Timeline::new(2);
    forged.follow(206).jump(296).follow(299).extend(327);
    forged.conclude(committee, few).stage("a committee elected");
    forged.extend(340).stage("a committee at work");
    forged.extend(358).stage("a committee before a checkpoint");
    forged.extend(359).conclude(&[], all);
    forged.stage("all slots punished");
    forged.extend(366).stage("all slots punished, later");
    let far = Policy::macro_block_of(Policy::batch_at(455) - 1).unwrap();
    let block = forged
        .office
        .macro_at(far, &forged.tip(), &[], BitSet::new(), &mut forged.rng);
    forged.push(block, Route::Macro, &[]);
    forged.extend(454).stage("a committee before an election");
    forged.extend(455).conclude(validator, BitSet::new());
    forged.extend(459).stage("one validator again");

    let mut stages = Vec::new();
    for timeline in [real, jumped, forged] {
        stages.extend(timeline.stages);
        tally.add(timeline.tally);
    }
    stages
}
