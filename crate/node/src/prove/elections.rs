//! The election blocks of a chain.

use std::{collections::BTreeMap, sync::Arc};

use nimiq_block::{Block, MacroBlock, TendermintProof};
use nimiq_primitives::policy::Policy;
use parking_lot::RwLock;
use thiserror::Error;

use crate::{chain::genesis_block, proofs::ElectionBlocks};

/// A block is not the next election block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ElectionError {
    /// It is no election block, or an earlier or a later one.
    #[error("it is not the next election block")]
    NotNext,
    /// It follows another block, or is of another network.
    #[error("it is of another chain")]
    OtherChain,
    /// It elects nobody.
    #[error("it elects nobody")]
    NoValidators,
    /// Those elected before have not signed it.
    #[error("too few of the validators elected before have signed it")]
    Votes,
    /// The genesis block has none, which can't be.
    #[error("the genesis block is no election block")]
    Genesis,
}

/// Election blocks from genesis on, each signed by those elected in the one before. Clones share them.
#[derive(Clone, Debug)]
pub struct Elections {
    blocks: Arc<RwLock<BTreeMap<u32, MacroBlock>>>,
}

impl Elections {
    /// The genesis block, which everybody knows.
    ///
    /// # Errors
    /// None for the network of this crate.
    pub fn genesis() -> Result<Self, ElectionError> {
        let Block::Macro(mut genesis) = genesis_block() else {
            return Err(ElectionError::Genesis);
        };
        genesis.body = None;
        let blocks = BTreeMap::from([(genesis.block_number(), genesis)]);
        Ok(Self {
            blocks: Arc::new(RwLock::new(blocks)),
        })
    }

    /// Those of a list, which may begin with the genesis block.
    ///
    /// # Errors
    /// If one of them doesn't follow the one before it.
    pub fn of(blocks: impl IntoIterator<Item = MacroBlock>) -> Result<Self, ElectionError> {
        let elections = Self::genesis()?;
        let mut blocks = blocks.into_iter().peekable();
        let first = Policy::genesis_block_number();
        if let Some(block) = blocks.next_if(|block| block.block_number() == first)
            && elections
                .at(first)
                .is_none_or(|genesis| genesis.hash() != block.hash())
        {
            return Err(ElectionError::OtherChain);
        }
        for block in blocks {
            elections.append(block)?;
        }
        Ok(elections)
    }

    /// Adds the next one, if it is.
    ///
    /// # Errors
    /// If it doesn't follow the last one, or isn't signed by enough of those elected in that.
    pub fn append(&self, mut block: MacroBlock) -> Result<(), ElectionError> {
        let last = self.tip().ok_or(ElectionError::Genesis)?;
        let next = last
            .block_number()
            .checked_add(Policy::blocks_per_epoch())
            .ok_or(ElectionError::NotNext)?;
        if block.block_number() != next {
            return Err(ElectionError::NotNext);
        }
        block.body = None;
        // Whatever hash came with it is not to be believed.
        block.header.cached_hash = None;
        if block.header.parent_election_hash != last.hash()
            || block.header.network != last.header.network
        {
            return Err(ElectionError::OtherChain);
        }
        let elects = |block: &MacroBlock| {
            let validators = block.header.validators.clone();
            validators.filter(|validators| validators.validate_keys().is_ok())
        };
        let voters = elects(&last).ok_or(ElectionError::NoValidators)?;
        if block
            .header
            .validators
            .as_ref()
            .is_none_or(|elected| elected.validate_structure().is_err())
        {
            return Err(ElectionError::NoValidators);
        }
        if !TendermintProof::verify(&block, &voters) {
            return Err(ElectionError::Votes);
        }
        self.blocks.write().insert(next, block);
        Ok(())
    }

    /// The last one.
    pub fn tip(&self) -> Option<MacroBlock> {
        let blocks = self.blocks.read();
        blocks.last_key_value().map(|(_, block)| block.clone())
    }
}

impl ElectionBlocks for Elections {
    fn last(&self) -> Option<u32> {
        let blocks = self.blocks.read();
        blocks.last_key_value().map(|(number, _)| *number)
    }

    fn at(&self, number: u32) -> Option<MacroBlock> {
        self.blocks.read().get(&number).cloned()
    }
}
