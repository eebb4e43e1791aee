//! The headers that a light chain keeps: by hash, by number, forks included. It retains as much as
//! the light chain of a 2.3.0 node does, because what is retained decides which blocks count as
//! known.

use std::collections::HashMap;

use nimiq_block::Block;
use nimiq_blockchain_interface::ChainInfo;
use nimiq_hash::Blake2bHash;
use nimiq_primitives::policy::Policy;

use crate::numbered::Numbered;

/// Headers of the recent chain and its forks.
#[derive(Clone, Debug, Default)]
pub(super) struct ChainStore {
    blocks: HashMap<Blake2bHash, ChainInfo>,
    by_number: Numbered<Vec<Blake2bHash>>,
}

impl ChainStore {
    /// A store that holds one block, which is on the main chain.
    pub(super) fn starting_at(block: Block) -> Self {
        let mut store = Self::default();
        store.put(ChainInfo::new(block, true));
        store
    }

    pub(super) fn get(&self, hash: &Blake2bHash) -> Option<&ChainInfo> {
        self.blocks.get(hash)
    }

    /// The main chain's block at `number`.
    pub(super) fn get_at(&self, number: u32) -> Option<&ChainInfo> {
        self.by_number
            .get(number)?
            .iter()
            .filter_map(|hash| self.blocks.get(hash))
            .find(|info| info.on_main_chain)
    }

    /// Inserts or replaces a block. Macro blocks are stored without their justification, all
    /// blocks without body.
    pub(super) fn put(&mut self, mut info: ChainInfo) {
        let hash = info.head.hash_cached();
        match &mut info.head {
            Block::Macro(block) => {
                block.body = None;
                block.justification = None;
            }
            Block::Micro(block) => block.body = None,
        }
        let number = info.head.block_number();
        if self.blocks.insert(hash.clone(), info).is_none() {
            self.by_number.at(number).push(hash);
        }
    }

    /// Changes the position of a stored block relative to the main chain.
    pub(super) fn relink(
        &mut self,
        hash: &Blake2bHash,
        on_main_chain: bool,
        successor: Option<Blake2bHash>,
    ) {
        if let Some(info) = self.blocks.get_mut(hash) {
            info.on_main_chain = on_main_chain;
            info.main_chain_successor = successor;
        }
    }

    /// Drops what is too old once the macro block `current` is the head: election blocks after an
    /// epoch, all others after a batch.
    pub(super) fn prune(&mut self, current: u32) {
        let keep = |number: u32| {
            let age = current.saturating_sub(number);
            if Policy::is_election_block_at(number) {
                age <= Policy::blocks_per_epoch()
            } else {
                age <= Policy::blocks_per_batch()
            }
        };
        let blocks = &mut self.blocks;
        self.by_number.retain(|number, hashes| {
            let kept = keep(number);
            if !kept {
                for hash in hashes {
                    blocks.remove(hash);
                }
            }
            kept
        });
    }

    /// The main chain's blocks, ascending.
    pub(super) fn main_chain(&self) -> impl Iterator<Item = &Block> {
        self.by_number
            .iter()
            .filter_map(|(number, _)| self.get_at(number))
            .map(|info| &info.head)
    }

    /// How many blocks are held, forks included.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }
}
