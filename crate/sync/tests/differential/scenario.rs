//! Blocks that go on from a stage, good and bad, and orders to push them in.

use std::collections::HashSet;

use nimiq_block::Block;
use nimiq_collections::bitset::BitSet;
use nimiq_primitives::policy::Policy;
use pico_node::chain::{Mutation, Signing, ValidatorKeys};
use pico_sync::chain::{Inspected, Route};
use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha20Rng;

use crate::{
    pool::{Office, World},
    stage::{Pair, Stage},
    tally::Tally,
};

/// A block of the tree, or a damaged copy of one.
struct Node {
    block: Block,
    /// Its parent's place in the tree, unless that is in the stage's chain.
    parent: Option<usize>,
}

/// A tree of blocks.
pub(crate) struct Scenario {
    /// Valid blocks, parents first.
    tree: Vec<Node>,
    /// Damaged ones, with the parents of the blocks that they were made from.
    damaged: Vec<Node>,
    /// Macro blocks for the macro route, whose parents nobody knows.
    far: Vec<Block>,
    /// Blocks that the stage has had before.
    past: Vec<Block>,
}

/// What grows on a block of the tree or of the stage's chain.
#[derive(Clone)]
struct Bud {
    block: Block,
    at: Option<usize>,
    office: Office,
}

impl Scenario {
    /// Grows a tree from the last blocks of a stage's chain.
    pub(crate) fn grow(stage: &Stage, rng: &mut ChaCha20Rng) -> Self {
        let world = World::get();
        let mut buds: Vec<Bud> = stage
            .batch
            .iter()
            .map(|block| Bud {
                block: block.clone(),
                at: None,
                office: stage.office.clone(),
            })
            .collect();
        // Forks start within the last few blocks.
        buds.drain(..buds.len().saturating_sub(6));

        let mut tree = Vec::new();
        let mut parents = Vec::new();
        // Signing these takes a while too.
        let (mut macros, mut skips) = (3, 4);
        for _ in 0..rng.random_range(10..30) {
            // Chains grow at their tips more often than not.
            let bud = match rng.random_bool(0.5) {
                true => buds[buds.len() - 1].clone(),
                false => buds.choose(rng).unwrap().clone(),
            };
            let number = bud.block.block_number() + 1;
            let mut office = bud.office.clone();
            let block = if Policy::is_macro_block_at(number) {
                if macros == 0 {
                    continue;
                }
                macros -= 1;
                let elected = elected(world, rng);
                let punished = punished(rng);
                let block = bud.office.macro_on(&bud.block, elected, punished, rng);
                office = bud.office.after(&block, elected);
                block
            } else if skips > 0 && rng.random_bool(0.15) {
                skips -= 1;
                bud.office.skip(&bud.block)
            } else {
                bud.office.micro(&bud.block, rng.random_range(0..3000), rng)
            };
            buds.push(Bud {
                block: block.clone(),
                at: Some(tree.len()),
                office,
            });
            tree.push(Node {
                block,
                parent: bud.at,
            });
            parents.push(bud);
        }

        let far = Self::far(stage, rng);
        let mut damaged: Vec<Node> = Vec::new();
        // Of the few blocks that many have to sign, more is worth damaging.
        let signed_by_many: Vec<usize> = (0..tree.len())
            .filter(|i| needs_many(&tree[*i].block))
            .collect();
        for _ in 0..30 {
            let i = match signed_by_many.choose(rng) {
                Some(i) if rng.random_bool(0.4) => *i,
                _ => rng.random_range(0..tree.len()),
            };
            if let Some(block) = damage(&tree[i].block, &parents[i].block, &parents[i].office, rng)
            {
                let parent = tree[i].parent;
                damaged.push(Node { block, parent });
            }
        }
        for block in &far {
            // On the macro route it doesn't matter what the parent is.
            if let Some(block) = damage(block, &stage.batch[0], &stage.office, rng) {
                damaged.push(Node {
                    block,
                    parent: None,
                });
            }
        }
        let past = (0..10)
            .filter_map(|_| stage.past.choose(rng).cloned())
            .collect();
        Self {
            tree,
            damaged,
            far,
            past,
        }
    }

    /// One or two macro blocks of this epoch or, for nobody to take, of the next.
    fn far(stage: &Stage, rng: &mut ChaCha20Rng) -> Vec<Block> {
        let head = stage.office.head().block_number();
        let last = Policy::election_block_after(head) + Policy::blocks_per_batch();
        let batches = (last - head) / Policy::blocks_per_batch();
        (0..rng.random_range(1..3))
            .map(|_| {
                let number = head + rng.random_range(1..=batches) * Policy::blocks_per_batch();
                let parent = stage.batch.choose(rng).unwrap();
                stage.office.macro_at(
                    number,
                    parent,
                    elected(World::get(), rng),
                    punished(rng),
                    rng,
                )
            })
            .collect()
    }

    /// Pushes about `steps` blocks on copies of the two chains, at most `expensive` of which get as
    /// far as to have their validators' signatures checked. Returns how that ends.
    pub(crate) fn play(
        &self,
        start: &Pair,
        rng: &mut ChaCha20Rng,
        tally: &mut Tally,
        steps: usize,
        mut expensive: usize,
    ) -> Pair {
        let mut pair = start.copy();
        // What the opening has pushed counts, too.
        let mut pushed: HashSet<usize> = (0..self.tree.len())
            .filter(|i| pair.ours.block(&self.tree[*i].block.hash()).is_some())
            .collect();
        tally.sequences += 1;
        let steps = rng.random_range(steps / 2..=steps);
        for _ in 0..steps {
            let Some((block, in_tree)) = self.choose(&pushed, expensive > 0, rng) else {
                continue;
            };
            let by_macro_route = match (in_tree, block.is_macro()) {
                (_, false) => 0.01,
                (Some(_), true) => 0.3,
                (None, true) => 0.7,
            };
            let route = match rng.random_bool(by_macro_route) {
                true => Route::Macro,
                false => Route::Live,
            };
            if needs_many(block) {
                let inspected = pair.ours.inspect(block.clone(), route);
                if matches!(inspected, Ok(Inspected::Unproven(_))) {
                    if expensive == 0 {
                        continue;
                    }
                    expensive -= 1;
                }
            }
            if !pair.push(block, route, tally) {
                return pair;
            }
            pushed.extend(in_tree);
        }
        pair.assert_same_state();
        pair
    }

    /// The next block to push, and its place in the tree.
    fn choose(
        &self,
        pushed: &HashSet<usize>,
        expensive: bool,
        rng: &mut ChaCha20Rng,
    ) -> Option<(&Block, Option<usize>)> {
        let is_ready = |node: &Node| node.parent.is_none_or(|at| pushed.contains(&at));
        let places = |wanted: &dyn Fn(usize, &Node) -> bool| -> Vec<usize> {
            let all = self.tree.iter().enumerate();
            all.filter(|(i, node)| wanted(*i, node))
                .map(|(i, _)| i)
                .collect()
        };
        let candidates = match rng.random_range(0..100) {
            // While there is time for it: what is expensive.
            0..25 if expensive => {
                places(&|i, node| !pushed.contains(&i) && is_ready(node) && needs_many(&node.block))
            }
            // As it should be: the parent is there.
            0..60 => places(&|i, node| !pushed.contains(&i) && is_ready(node)),
            // Out of order.
            60..67 => places(&|i, _| !pushed.contains(&i)),
            // Once again.
            67..74 => places(&|i, _| pushed.contains(&i)),
            // Something that is wrong with it is nearly always the only thing.
            74..94 => {
                let ready: Vec<_> = self.damaged.iter().filter(|node| is_ready(node)).collect();
                let node = match rng.random_bool(0.9) {
                    true => ready.choose(rng).copied(),
                    false => self.damaged.choose(rng),
                };
                return node.map(|node| (&node.block, None));
            }
            94..97 => return self.past.choose(rng).map(|block| (block, None)),
            _ => return self.far.choose(rng).map(|block| (block, None)),
        };
        let i = *candidates.choose(rng)?;
        Some((&self.tree[i].block, Some(i)))
    }
}

/// Whether a block of this kind is signed by a majority of slots and not by one validator.
fn needs_many(block: &Block) -> bool {
    block.is_macro() || block.is_skip()
}

/// A block that differs from an honest one in one way, signed again or not.
fn damage(block: &Block, parent: &Block, office: &Office, rng: &mut ChaCha20Rng) -> Option<Block> {
    let mutation = Mutation::ALL.choose(rng)?;
    let mut damaged = mutation.apply(block, Signing::Keep, &World::get().stranger)?;
    let hash_changed = damaged.hash() != block.hash();
    if hash_changed && rng.random_bool(0.7) {
        office.sign(&mut damaged, parent);
    }
    Some(damaged)
}

/// Whom the next election block elects.
fn elected<'a>(world: &'a World, rng: &mut ChaCha20Rng) -> &'a [ValidatorKeys] {
    match rng.random_bool(0.5) {
        true => &world.committee,
        false => std::slice::from_ref(&world.validator),
    }
}

/// Which slots are punished in the next batch.
fn punished(rng: &mut ChaCha20Rng) -> BitSet {
    let slots = usize::from(Policy::SLOTS);
    match rng.random_range(0..4) {
        0 => BitSet::new(),
        1 => (0..slots).collect(),
        2 => (0..slots).filter(|_| rng.random_bool(0.9)).collect(),
        _ => (0..slots).filter(|_| rng.random_bool(0.1)).collect(),
    }
}
