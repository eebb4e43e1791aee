//! Blocks whose parents have not arrived yet, bounded per height and in all.

use nimiq_block::Block;
use nimiq_hash::Blake2bHash;

use crate::{limits, numbered::Numbered};

/// A block that waits for its parent, and where it came from.
#[derive(Debug)]
pub(super) struct Buffered<S> {
    pub(super) block: Block,
    pub(super) source: S,
}

/// Why a block was not kept, and where it came from.
#[derive(Debug)]
pub(super) enum Refused<S> {
    /// It is here already.
    Here(S),
    /// There are too many.
    NoRoom(S),
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Buffer<S> {
    by_number: Numbered<Vec<Buffered<S>>>,
    len: usize,
}

impl<S> Default for Buffer<S> {
    fn default() -> Self {
        Self {
            by_number: Numbered::default(),
            len: 0,
        }
    }
}

impl<S> Buffer<S> {
    /// Keeps a block.
    ///
    /// # Errors
    /// Where there is no room, or it is here already.
    pub(super) fn insert(&mut self, buffered: Buffered<S>) -> Result<(), Refused<S>> {
        let number = buffered.block.block_number();
        let here = self.by_number.get(number).map_or(&[][..], Vec::as_slice);
        let hash = buffered.block.hash();
        if here.iter().any(|other| other.block.hash() == hash) {
            return Err(Refused::Here(buffered.source));
        }
        if self.len >= limits::MAX_BUFFERED_BLOCKS || here.len() >= limits::MAX_BLOCKS_PER_HEIGHT {
            return Err(Refused::NoRoom(buffered.source));
        }
        self.by_number.at(number).push(buffered);
        self.len += 1;
        Ok(())
    }

    /// Takes out the blocks on top of `parent`.
    pub(super) fn take_children(&mut self, parent: &Block) -> Vec<Buffered<S>> {
        if self.len == 0 {
            return Vec::new();
        }
        let hash = parent.hash();
        self.take_at(parent.block_number().saturating_add(1), &hash)
    }

    /// Takes out the blocks on top of the block called `parent`.
    pub(super) fn take_children_of(&mut self, parent: &Blake2bHash) -> Vec<Buffered<S>> {
        let numbers: Vec<_> = self.by_number.iter().map(|(number, _)| number).collect();
        numbers
            .into_iter()
            .flat_map(|number| self.take_at(number, parent))
            .collect()
    }

    fn take_at(&mut self, number: u32, parent: &Blake2bHash) -> Vec<Buffered<S>> {
        let Some(here) = self.by_number.remove(number) else {
            return Vec::new();
        };
        let (taken, kept): (Vec<_>, Vec<_>) = here
            .into_iter()
            .partition(|buffered| buffered.block.parent_hash() == parent);
        self.len -= taken.len();
        if !kept.is_empty() {
            self.by_number.insert(number, kept);
        }
        taken
    }

    /// The parent of the block with the lowest number that came from each peer, the lowest first, and
    /// that peer.
    pub(super) fn lowest_of_each<P: Copy + PartialEq>(
        &self,
        peer_of: impl Fn(&S) -> P,
    ) -> Vec<(Blake2bHash, P)> {
        let mut lowest: Vec<(Blake2bHash, P)> = Vec::new();
        for buffered in self.by_number.iter().flat_map(|(_, here)| here) {
            let peer = peer_of(&buffered.source);
            if lowest.iter().all(|(_, other)| *other != peer) {
                lowest.push((buffered.block.parent_hash().clone(), peer));
            }
        }
        lowest
    }

    /// Drops the blocks up to `number` and returns where they came from.
    pub(super) fn prune(&mut self, number: u32) -> Vec<S> {
        let dropped = self.by_number.take_up_to(number);
        let sources: Vec<_> = dropped.flatten().map(|buffered| buffered.source).collect();
        self.len -= sources.len();
        sources
    }

    /// Drops everything and returns where it came from.
    pub(super) fn clear(&mut self) -> Vec<S> {
        self.prune(u32::MAX)
    }
}
