//! What the book is done with.

use std::collections::{HashMap, VecDeque};

use nimiq_hash::Blake2bHash;

use crate::limits;

/// Transactions that nothing more will happen to, as many as are remembered.
#[derive(Debug, Default)]
pub(super) struct Settled {
    order: VecDeque<Blake2bHash>,
    blocks: HashMap<Blake2bHash, Option<u32>>,
}

impl Settled {
    pub(super) fn insert(&mut self, hash: Blake2bHash, block: Option<u32>) {
        if self.blocks.insert(hash.clone(), block).is_none() {
            self.order.push_back(hash);
        }
        if self.order.len() > limits::MAX_SETTLED
            && let Some(oldest) = self.order.pop_front()
        {
            self.blocks.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, hash: &Blake2bHash) -> bool {
        self.blocks.contains_key(hash)
    }

    pub(super) fn block_of(&self, hash: &Blake2bHash) -> Option<u32> {
        self.blocks.get(hash).copied().flatten()
    }
}
