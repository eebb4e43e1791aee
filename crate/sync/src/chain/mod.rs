//! The chain of a light client: the macro and election heads, the validators of the current epoch
//! and the headers of the current batch. Nothing else is kept, and no rule is written here twice:
//! every check comes from the `nimiq-*` crates. What is ours is when each runs. In particular the
//! checks are split in two: everything cheap happens in [`LightChain::inspect`], and what is left
//! is a [`VerifyJob`] that somebody runs off the page's thread before
//! [`LightChain::commit`].
//!
//! The chain knows nothing of peers, of time passing or of how far it is to be trusted.

mod interface;
mod leap;
mod push;
mod store;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use nimiq_block::{Block, BlockError, MacroBlock};
use nimiq_blockchain_interface::{AbstractBlockchain, BlockchainError};
pub use nimiq_blockchain_interface::{PushError, PushResult};
use nimiq_hash::Blake2bHash;
use nimiq_primitives::{
    policy::Policy,
    slots_allocation::{Slot, Validators},
};
use nimiq_vrf::VrfEntropy;

pub(crate) use self::leap::{Leap, ProofBase};
pub use self::push::{Inspected, Proven, Pushed, Route, Unproven};
use self::{leap::ProofStart, store::ChainStore};
use crate::{clock::Clock, limits, numbered::Numbered, params::NetworkParams, verifier::VerifyJob};

/// A block as events and snapshots name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlockRef {
    /// Its number.
    pub number: u32,
    /// Its Blake2b hash.
    pub hash: Blake2bHash,
    /// Its timestamp, in Unix milliseconds.
    pub timestamp: u64,
}

impl From<&Block> for BlockRef {
    fn from(block: &Block) -> Self {
        Self {
            number: block.block_number(),
            hash: block.hash(),
            timestamp: block.timestamp(),
        }
    }
}

impl From<&MacroBlock> for BlockRef {
    fn from(block: &MacroBlock) -> Self {
        Self {
            number: block.block_number(),
            hash: block.hash(),
            timestamp: block.timestamp(),
        }
    }
}

/// The chain of a light client. See the module's documentation.
#[derive(Clone, Debug)]
pub struct LightChain {
    params: &'static NetworkParams,
    clock: Clock,
    /// The election block that this chain starts from.
    anchor: MacroBlock,
    head: Block,
    macro_head: MacroBlock,
    election_head: MacroBlock,
    /// Elected by `election_head`; shared with the jobs that need them.
    validators: Arc<Validators>,
    store: ChainStore,
    /// Hashes of recent election blocks by number, to hold peers' claims against.
    elections: Numbered<Blake2bHash>,
    /// What it can do with proofs.
    proof_start: ProofStart,
    /// Changes with the chain, so that a block that was inspected before is inspected again.
    revision: Revision,
}

/// Names one state of one chain. No other chain of the process has it but unchanged copies: a block
/// that was proven on a chain which is replaced meanwhile must not pass for proven on the new one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Revision(u64);

impl Revision {
    fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The latest timestamp of a block that our clock has no say in. Far beyond any clock, and far enough below the largest number
/// that sums of timestamps and timeouts can't overflow.
const LATEST_TIMESTAMP: u64 = u64::MAX / 2;

/// Whether blocks that follow could have numbers for which there is no room. Those who count on from
/// them, here and in the `nimiq-*` crates, must not have to see to that.
fn is_beyond_reach(number: u32) -> bool {
    number > u32::MAX - 4 * Policy::blocks_per_epoch()
}

/// Makes the minimal checks on an election block that a chain is to go on from: that it is well formed,
/// of this network, and elects validators. Returns it without body, and them.
fn elected_by(
    params: &NetworkParams,
    mut block: MacroBlock,
) -> Result<(MacroBlock, Validators), PushError> {
    block.body = None;
    if is_beyond_reach(block.block_number()) {
        return Err(BlockError::InvalidBlockNumber.into());
    }
    // It may be ahead of a clock that is wrong; nothing rests on its timestamp.
    let block = Block::Macro(block);
    block.verify(params.network_id, LATEST_TIMESTAMP)?;
    let Block::Macro(block) = block else {
        return Err(BlockError::InvalidBlockType.into());
    };
    let validators = block
        .get_validators()
        .ok_or(BlockError::InvalidValidators)?;
    // An undecodable seed would make slot selection panic further on.
    block
        .header
        .seed
        .try_entropy()
        .ok_or(BlockError::InvalidSeed)?;
    Ok((block, validators))
}

impl LightChain {
    /// A chain that starts at `anchor`, an election block, on minimal checks: that it is well
    /// formed, of this network, and that the chain can go on from it. Whether it may be believed
    /// is the caller's to know: it is pinned, or it is adopted optimistically.
    ///
    /// # Errors
    /// [`PushError::InvalidBlock`] naming the first check that failed.
    pub fn starting_at(
        params: &'static NetworkParams,
        clock: Clock,
        anchor: MacroBlock,
    ) -> Result<Self, PushError> {
        let (mut anchor, validators) = elected_by(params, anchor)?;
        let hash = anchor.header.hash_cached();
        let mut elections = Numbered::default();
        elections.insert(anchor.block_number(), hash);
        Ok(Self {
            params,
            clock,
            head: Block::Macro(anchor.clone()),
            macro_head: anchor.clone(),
            election_head: anchor.clone(),
            validators: Arc::new(validators),
            store: ChainStore::starting_at(Block::Macro(anchor.clone())),
            elections,
            proof_start: ProofStart::default(),
            anchor,
            revision: Revision::fresh(),
        })
    }

    /// A chain that is taken up again: it starts at `election`, the checkpoint on top of it follows
    /// if there is one, and `elections` are the election blocks known up to then. The same minimal
    /// checks; signatures are not looked at.
    ///
    /// # Errors
    /// What is wrong with the blocks.
    pub(crate) fn restored(
        params: &'static NetworkParams,
        clock: Clock,
        election: MacroBlock,
        checkpoint: Option<MacroBlock>,
        elections: &[(u32, Blake2bHash)],
    ) -> Result<Self, PushError> {
        let mut chain = Self::starting_at(params, clock, election)?;
        if let Some(checkpoint) = checkpoint {
            match chain.inspect_macro_at_any_time(Block::Macro(checkpoint))? {
                Inspected::Unproven(unproven) => chain.commit(unproven.on_trust())?,
                Inspected::Settled(_) | Inspected::Proven(_) => {
                    return Err(PushError::InvalidSuccessor);
                }
            };
        }
        let start = chain.anchor.block_number();
        for (number, hash) in elections.iter().filter(|(number, _)| *number < start) {
            chain.elections.insert(*number, hash.clone());
        }
        Ok(chain)
    }

    /// Recent election blocks by number, ascending.
    pub(crate) fn elections(&self) -> impl Iterator<Item = (u32, Blake2bHash)> + '_ {
        let elections = self.elections.iter();
        elections.map(|(number, hash)| (number, hash.clone()))
    }

    /// The network that this chain is of.
    pub fn params(&self) -> &'static NetworkParams {
        self.params
    }

    /// Number of the block that this chain started with.
    pub(crate) fn start(&self) -> u32 {
        self.anchor.block_number()
    }

    /// Head of the main chain.
    pub fn head(&self) -> &Block {
        &self.head
    }

    /// Last macro block.
    pub fn macro_head(&self) -> &MacroBlock {
        &self.macro_head
    }

    /// Last election block.
    pub fn election_head(&self) -> &MacroBlock {
        &self.election_head
    }

    /// Validators of the epoch that the next block belongs to.
    pub fn validators(&self) -> &Arc<Validators> {
        &self.validators
    }

    /// The header of a block on the main chain or on a fork, while it is kept.
    pub fn block(&self, hash: &Blake2bHash) -> Option<&Block> {
        self.store.get(hash).map(|info| &info.head)
    }

    /// The header of the main chain's block at `number`, while it is kept.
    pub fn block_at(&self, number: u32) -> Option<&Block> {
        self.store.get_at(number).map(|info| &info.head)
    }

    /// The main chain's blocks that are kept, ascending.
    pub fn main_chain(&self) -> impl Iterator<Item = &Block> {
        self.store.main_chain()
    }

    /// Whether `hash` is a block of the main chain that is still kept.
    pub fn is_on_main_chain(&self, hash: &Blake2bHash) -> bool {
        self.contains(hash, false)
    }

    /// How many headers are held, forks included.
    pub fn stored_blocks(&self) -> usize {
        self.store.len()
    }

    /// Whether this chain has another election block at `number` than `hash`.
    pub fn contradicts(&self, number: u32, hash: &Blake2bHash) -> bool {
        self.elections.get(number).is_some_and(|ours| ours != hash)
    }

    /// Hash of the election block at `number`, while it is remembered.
    pub fn election_at(&self, number: u32) -> Option<&Blake2bHash> {
        self.elections.get(number)
    }

    /// Whether `hash` is a recent election block of this chain.
    pub fn knows_election(&self, hash: &Blake2bHash) -> bool {
        self.elections.iter().any(|(_, ours)| ours == hash)
    }

    /// Number and hash of every block of the main chain that is remembered: those that are kept, and
    /// the recent election blocks.
    pub fn known(&self) -> impl Iterator<Item = (u32, Blake2bHash)> + '_ {
        let blocks = self.main_chain();
        self.elections()
            .chain(blocks.map(|block| (block.block_number(), block.hash())))
    }

    /// Takes over which election blocks came before ours, and the one that proofs start from, from a
    /// chain that has led to ours. Does nothing if that one has not.
    pub fn learn_past(&mut self, other: &Self) {
        let ours = self.election_head.block_number();
        if other.elections.get(ours) != Some(&self.election_head.hash()) {
            return;
        }
        for (number, hash) in other.elections.iter() {
            if number < ours && self.elections.get(number).is_none() {
                self.elections.insert(number, hash.clone());
            }
        }
        self.elections.keep_last(limits::REMEMBERED_ELECTIONS);
        self.proof_start = other.proof_start.clone();
    }

    /// Our macro blocks, newest first, as `RequestMacroChain` wants them.
    pub fn macro_locators(&self) -> Vec<Blake2bHash> {
        let mut locators = vec![self.macro_head.hash()];
        if !self.macro_head.is_election() {
            locators.push(self.election_head.hash());
        }
        locators
    }

    /// Our blocks from the head back to the last macro block, newest first, as
    /// `RequestMissingBlocks` wants them.
    pub fn block_locators(&self) -> Vec<Blake2bHash> {
        let mut locators = vec![self.head.hash()];
        let mut block = &self.head;
        while block.is_micro() && locators.len() < limits::MAX_LOCATORS {
            let Some(parent) = self.block(block.parent_hash()) else {
                break;
            };
            locators.push(parent.hash());
            block = parent;
        }
        locators
    }

    /// The check that is left of a checkpoint block that was adopted without one. `None` where the
    /// macro head is an election block, whose own signatures only its predecessor can vouch for.
    pub fn unproven_checkpoint(&self) -> Option<VerifyJob> {
        (!self.macro_head.is_election()).then(|| VerifyJob {
            block: Block::Macro(self.macro_head.clone()),
            validators: self.validators.clone(),
        })
    }

    /// The check of a macro block of the current epoch, whichever it is. `None` where our validators
    /// can't vouch for it.
    pub fn proof_of(&self, block: &MacroBlock) -> Option<VerifyJob> {
        let current = block.header.parent_election_hash == self.election_head.hash()
            && block.block_number() > self.election_head.block_number();
        current.then(|| VerifyJob {
            block: Block::Macro(block.clone()),
            validators: self.validators.clone(),
        })
    }

    /// Whether a block's timestamp is later than it may be: the block is wrong, or our clock is.
    pub fn is_from_the_future(&self, block: &Block) -> bool {
        block.timestamp() > self.max_timestamp()
    }

    /// The latest timestamp that a block may have. A clock that is behind the chain we already
    /// hold is wrong, so it does not make us refuse what comes next.
    fn max_timestamp(&self) -> u64 {
        self.clock
            .now_ms()
            .max(self.head.timestamp())
            .saturating_add(Policy::TIMESTAMP_MAX_DRIFT)
    }

    /// The owner of a slot in the current batch.
    fn slot_owner(
        &self,
        block_number: u32,
        offset: u32,
        entropy: VrfEntropy,
    ) -> Result<Slot, BlockchainError> {
        // Only blocks after the last macro block are ever pushed, and until the next macro block
        // all of them share its punished set and its epoch's validators.
        if block_number <= self.macro_head.block_number() {
            return Err(BlockchainError::BlockNotFound(block_number));
        }
        let punished = self
            .macro_head
            .header
            .next_batch_initial_punished_set
            .clone();
        let number = Self::compute_slot_number(offset, entropy, punished);
        let band = self.validators.get_band_from_slot(number);
        let validator = self.validators.get_validator_by_slot_number(number).clone();
        Ok(Slot {
            number,
            band,
            validator,
        })
    }
}
