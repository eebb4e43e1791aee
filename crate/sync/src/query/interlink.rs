//! How one election block proves another: each names its parent, and in its interlink the latest
//! ones before that whose epoch is divisible by 2, by 4, by 8, and so on. So from any election block
//! a few hops lead to every older one, and who believes the first must believe the last.
//!
//! Epochs are counted from genesis, which is epoch 0 and itself in no interlink.

use nimiq_block::{Block, MacroBlock};
use nimiq_hash::Blake2bHash;
use nimiq_primitives::policy::Policy;

use crate::requests;

/// Why blocks do not lead to the one in question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Broken {
    /// Some are missing. A node that began at a pinned election block does not hold older ones, and
    /// leaves out what it lacks.
    Incomplete,
    /// They are not what was asked for.
    Wrong(&'static str),
}

/// The epochs between `from` and `to`, both excluded, whose election blocks lead from the one to the
/// other. `to` must be before `from`, and not genesis.
pub(super) fn hops(from: u32, to: u32) -> Vec<u32> {
    let mut hops = Vec::new();
    let mut current = from;
    while position(current, to).is_none() {
        let previous = current.saturating_sub(1);
        // The farthest that does not pass over the target. There is always one: the parent of an
        // odd epoch's block, and the newest entry of the interlink otherwise, are one or two back.
        let next = (1..=previous.checked_ilog2().unwrap_or(0))
            .rev()
            .map(|i| previous >> i << i)
            .find(|epoch| *epoch > to);
        match next {
            Some(next) => {
                hops.push(next);
                current = next;
            }
            None => break,
        }
    }
    hops
}

/// Where the election block of epoch `from` names that of epoch `to`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Position {
    Parent,
    Interlink(usize),
}

fn position(from: u32, to: u32) -> Option<Position> {
    let previous = from.checked_sub(1)?;
    if to == previous {
        return Some(Position::Parent);
    }
    (1..=previous.checked_ilog2()?)
        .find(|i| previous >> i << i == to)
        .and_then(|i| usize::try_from(i - 1).ok())
        .map(Position::Interlink)
}

/// What `block`, an election block, calls that of epoch `to`.
fn named(block: &MacroBlock, to: u32) -> Option<&Blake2bHash> {
    match position(Policy::epoch_at(block.block_number()), to)? {
        Position::Parent => Some(&block.header.parent_election_hash),
        Position::Interlink(i) => block.header.interlink.as_ref()?.get(i),
    }
}

/// Follows the hops from `head`, an election block that we hold, and returns the hash of the election
/// block of epoch `to`.
pub(super) fn follow(
    head: &MacroBlock,
    proof: Vec<MacroBlock>,
    to: u32,
) -> Result<Blake2bHash, Broken> {
    let hops = hops(Policy::epoch_at(head.block_number()), to);
    if is_incomplete(&proof, &hops) {
        return Err(Broken::Incomplete);
    }
    if proof.len() != hops.len() {
        return Err(Broken::Wrong("a proof of other election blocks"));
    }
    let too_short = Broken::Wrong("an election block whose interlink is too short");
    let mut hash = match hops.first() {
        Some(epoch) => named(head, *epoch),
        None => named(head, to),
    }
    .ok_or(too_short)?
    .clone();
    for (i, block) in proof.into_iter().enumerate() {
        let block = requests::check_block(Block::Macro(block), &hash).map_err(Broken::Wrong)?;
        let Block::Macro(block) = block else {
            return Err(Broken::Wrong("a micro block in place of an election block"));
        };
        let epoch = hops.get(i).copied();
        if Some(block.block_number()) != epoch.and_then(Policy::election_block_of) {
            return Err(Broken::Wrong("an election block of another epoch"));
        }
        let next = hops.get(i + 1).copied().unwrap_or(to);
        hash = named(&block, next).ok_or(too_short)?.clone();
    }
    Ok(hash)
}

/// Whether the blocks are some of those on the way, in order, but not all.
fn is_incomplete(proof: &[MacroBlock], hops: &[u32]) -> bool {
    let mut left = hops.iter();
    proof.len() < hops.len()
        && proof.iter().all(|block| {
            left.any(|epoch| Policy::election_block_of(*epoch) == Some(block.block_number()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_is_reached_in_a_few_hops() {
        for from in 1..300 {
            for to in 1..from {
                let mut current = from;
                let hops = hops(from, to);
                for next in hops.iter().copied().chain([to]) {
                    assert!(
                        position(current, next).is_some(),
                        "{from} to {to}: {hops:?}"
                    );
                    current = next;
                }
                assert!(hops.len() <= 2 * from.ilog2() as usize, "{from} to {to}");
            }
        }
    }
}
