//! [`LightChain`] as the `nimiq-*` crates see a blockchain. It gives access to the consensus rules
//! that are written against that trait (slot owners, chain ordering) without rewriting them.

use futures::stream::{self, BoxStream, StreamExt};
use nimiq_block::{Block, MacroBlock};
use nimiq_blockchain_interface::{
    AbstractBlockchain, BlockchainError, BlockchainEvent, ChainInfo, Direction, ForkEvent,
};
use nimiq_hash::Blake2bHash;
use nimiq_primitives::{
    networks::NetworkId,
    slots_allocation::{Slot, Validators},
};

use super::LightChain;

impl AbstractBlockchain for LightChain {
    fn network_id(&self) -> NetworkId {
        self.params.network_id
    }

    fn now(&self) -> u64 {
        self.clock.now_ms()
    }

    fn head(&self) -> &Block {
        &self.head
    }

    fn macro_head(&self) -> &MacroBlock {
        &self.macro_head
    }

    fn election_head(&self) -> &MacroBlock {
        &self.election_head
    }

    fn protocol_version(&self) -> u16 {
        self.head.version()
    }

    fn accounts_complete(&self) -> bool {
        false
    }

    fn can_enforce_validity_window(&self) -> bool {
        false
    }

    fn current_validators(&self) -> Option<&Validators> {
        Some(&self.validators)
    }

    fn previous_validators(&self) -> Option<&Validators> {
        None
    }

    fn contains(&self, hash: &Blake2bHash, include_forks: bool) -> bool {
        self.store
            .get(hash)
            .is_some_and(|info| include_forks || info.on_main_chain)
    }

    fn get_block_at(&self, height: u32, include_body: bool) -> Result<Block, BlockchainError> {
        let info = self
            .store
            .get_at(height)
            .ok_or(BlockchainError::BlockNotFound(height))?;
        header_only(info, include_body).map(|info| info.head.clone())
    }

    fn get_genesis_hash(&self) -> Blake2bHash {
        self.params.genesis().hash
    }

    /// The block that this chain starts from: the genesis block itself is held only by a chain
    /// that starts there.
    fn get_genesis_block(&self) -> Block {
        Block::Macro(self.anchor.clone())
    }

    fn get_block(&self, hash: &Blake2bHash, include_body: bool) -> Result<Block, BlockchainError> {
        self.get_chain_info(hash, include_body)
            .map(|info| info.head)
    }

    fn get_blocks(
        &self,
        start: &Blake2bHash,
        count: u32,
        include_body: bool,
        direction: Direction,
    ) -> Result<Vec<Block>, BlockchainError> {
        let mut current = self.get_chain_info(start, include_body)?;
        let mut blocks = Vec::new();
        while blocks.len() < count as usize {
            let next = match direction {
                Direction::Forward => current.main_chain_successor.clone(),
                Direction::Backward => Some(current.head.parent_hash().clone()),
            };
            let Some(info) = next.and_then(|hash| self.store.get(&hash)) else {
                break;
            };
            current = header_only(info, include_body)?.clone();
            blocks.push(current.head.clone());
        }
        Ok(blocks)
    }

    fn get_chain_info(
        &self,
        hash: &Blake2bHash,
        include_body: bool,
    ) -> Result<ChainInfo, BlockchainError> {
        let info = self
            .store
            .get(hash)
            .ok_or_else(|| BlockchainError::BlockNotFoundByHash(hash.clone()))?;
        header_only(info, include_body).cloned()
    }

    fn get_proposer_at(&self, block_number: u32, offset: u32) -> Result<Slot, BlockchainError> {
        let not_found = BlockchainError::BlockNotFound(block_number);
        let previous = block_number.checked_sub(1).ok_or(not_found)?;
        let entropy = self.get_block_at(previous, false)?.seed().try_entropy();
        self.slot_owner(
            block_number,
            offset,
            entropy.ok_or(BlockchainError::InconsistentState)?,
        )
    }

    fn get_proposer_of(&self, block_hash: &Blake2bHash) -> Result<Slot, BlockchainError> {
        let block = self.get_block(block_hash, false)?;
        let entropy = self
            .get_block(block.parent_hash(), false)?
            .seed()
            .try_entropy();
        let entropy = entropy.ok_or(BlockchainError::InconsistentState)?;
        self.slot_owner(block.block_number(), block.vrf_offset(), entropy)
    }

    fn get_macro_blocks(
        &self,
        start: &Blake2bHash,
        count: u32,
        include_body: bool,
        direction: Direction,
        election_blocks_only: bool,
    ) -> Result<Vec<Block>, BlockchainError> {
        let start = self.get_chain_info(start, include_body)?.head;
        if !start.is_macro() {
            return Err(BlockchainError::BlockIsNotMacro);
        }
        let wanted =
            |block: &Block| block.is_macro() && (!election_blocks_only || block.is_election());
        let mut blocks: Vec<Block> = self
            .store
            .main_chain()
            .filter(|block| wanted(block))
            .filter(|block| match direction {
                Direction::Forward => block.block_number() > start.block_number(),
                Direction::Backward => block.block_number() < start.block_number(),
            })
            .cloned()
            .collect();
        if direction == Direction::Backward {
            blocks.reverse();
        }
        blocks.truncate(count as usize);
        Ok(blocks)
    }

    /// Always empty: changes of this chain are returned by the call that makes them.
    fn notifier_as_stream(&self) -> BoxStream<'static, BlockchainEvent> {
        stream::empty().boxed()
    }

    /// Always empty: a light client reports no forks to anyone.
    fn fork_notifier_as_stream(&self) -> BoxStream<'static, ForkEvent> {
        stream::empty().boxed()
    }
}

fn header_only(info: &ChainInfo, include_body: bool) -> Result<&ChainInfo, BlockchainError> {
    if include_body {
        Err(BlockchainError::BlockBodyNotFound)
    } else {
        Ok(info)
    }
}
