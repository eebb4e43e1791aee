//! How a chain gets to an election block without those in between: by a proof of the election chain
//! (DESIGN 10). Such a proof speaks of nothing but two Blake2s header hashes, so what it is worth
//! depends on what these bind.
//!
//! The hash that it ends with binds all of the block from protocol version 2 on: the header's fields,
//! and of the validators their addresses, their signing and voting keys and their slots. So the
//! Blake2b hash that the block is called by, and everything that the chain goes on with, follow from
//! it. In version 1 the validators go into the hash as voting keys alone: a peer could deliver the
//! block that was proven with signing keys of its own, and produce micro blocks with them. Such a
//! block is never taken, whatever proof comes with it. Versions only ever rise, and proofs start from
//! a block of version 2, so no honest peer has one to deliver.
//!
//! The hash that it starts with is never taken from a peer: the chain has walked over that block.
//!
//! Whether the voting keys that the block elects can be decoded is not looked at again: more than two
//! thirds of the validators have, before they signed it.

use nimiq_block::{Block, BlockError, MacroBlock};
use nimiq_blockchain_interface::PushError;
use nimiq_hash::Blake2sHash;
use nimiq_primitives::policy::{Policy, upgrades};

use super::{LightChain, Revision, elected_by, store::ChainStore};
use crate::params::NetworkParams;

/// The first protocol version in which the hash of an election block binds all of its validators.
const BINDING_VERSION: u16 = upgrades::v2::ELECTION_VALIDATOR_METADATA_COMMITMENT;

/// What a chain knows about the block that proofs start from.
#[derive(Clone, Debug, Default)]
pub(super) struct ProofStart {
    number: Option<u32>,
    hash: Option<Blake2sHash>,
    /// Whether the chain has got anywhere by a proof.
    leapt: bool,
}

/// Whether the chain can use a proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ProofBase {
    /// It can use one that starts from the block with this hash.
    Ready(Blake2sHash),
    /// Only once it has reached this block.
    Ahead(u32),
    /// It can't, and never will.
    None(&'static str),
}

/// An election block that a proof may lead to. It has passed every check that needs neither the
/// proof nor the chain.
#[derive(Clone, Debug)]
pub(crate) struct Leap(Box<MacroBlock>);

impl Leap {
    /// Checks a block that a peer delivered with a proof. It must be hashable.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn to(params: &NetworkParams, block: MacroBlock) -> Result<Self, PushError> {
        if block.header.version < BINDING_VERSION {
            return Err(BlockError::UnsupportedVersion.into());
        }
        let (mut block, _) = elected_by(params, block)?;
        // Nothing rests on its signatures.
        block.justification = None;
        Ok(Self(Box::new(block)))
    }

    pub(crate) fn block_number(&self) -> u32 {
        self.0.block_number()
    }

    /// The hash that a proof has to be of.
    pub(crate) fn statement(&self) -> Blake2sHash {
        self.0.hash_blake2s()
    }

    pub(crate) fn block(&self) -> &MacroBlock {
        &self.0
    }
}

impl LightChain {
    /// Has the chain remember the election block of that number, as what proofs start from, if it is
    /// there or once it gets there. The chain must be one that is verified. `known` is such a block
    /// that an earlier chain has come by, from which this one goes on.
    pub(crate) fn prove_from(&mut self, number: u32, known: Option<(u32, Blake2sHash)>) {
        let known = known.filter(|(known, _)| *known == number);
        self.proof_start.number = Some(number);
        self.proof_start.hash = known.map(|(_, hash)| hash);
        self.note_proof_start();
    }

    /// The block that proofs start from, once the chain has come by it.
    pub(crate) fn known_proof_start(&self) -> Option<(u32, Blake2sHash)> {
        self.proof_start.number.zip(self.proof_start.hash.clone())
    }

    /// To be called with each new election block.
    pub(super) fn note_proof_start(&mut self) {
        let start = &mut self.proof_start;
        if start.number == Some(self.election_head.block_number()) {
            let bound = self.election_head.header.version >= BINDING_VERSION;
            start.hash = bound.then(|| self.election_head.hash_blake2s());
        }
    }

    /// Whether a proof can be used.
    pub(crate) fn proof_base(&self) -> ProofBase {
        let ProofStart { number, hash, .. } = &self.proof_start;
        let head = self.election_head.block_number();
        match (number, hash) {
            (_, Some(hash)) => ProofBase::Ready(hash.clone()),
            (None, _) => ProofBase::None("no verifying key"),
            (Some(number), _) if *number > head => ProofBase::Ahead(*number),
            (Some(number), _) if *number == head => {
                ProofBase::None("the block that proofs start from is of protocol version 1")
            }
            _ => ProofBase::None("trust starts after the block that proofs start from"),
        }
    }

    /// Whether the chain has got anywhere by a proof, and not by signatures alone.
    pub(crate) fn has_leapt(&self) -> bool {
        self.proof_start.leapt
    }

    /// Goes on from an election block that is proven to follow from ours. Returns whether it did:
    /// one that is not beyond our macro head brings nothing.
    ///
    /// # Errors
    /// [`PushError::InvalidFork`] where it contradicts what was verified before: no chain that
    /// honest validators signed has both.
    pub(crate) fn leap(&mut self, leap: Leap) -> Result<bool, PushError> {
        let Leap(block) = leap;
        let number = block.block_number();
        if number <= self.macro_head.block_number() {
            return Ok(false);
        }
        let parent = &block.header.parent_election_hash;
        let before = number.saturating_sub(Policy::blocks_per_epoch());
        if self.contradicts(before, parent) || block.timestamp() < self.macro_head.timestamp() {
            return Err(PushError::InvalidFork);
        }
        // Its hash binds that of the one before.
        self.elections.insert(before, parent.clone());
        let block = Block::Macro(*block);
        self.store = ChainStore::starting_at(block.clone());
        self.revision = Revision::fresh();
        self.proof_start.leapt = true;
        self.set_head(block);
        Ok(true)
    }
}
