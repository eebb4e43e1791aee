//! How blocks enter the chain. Two routes, as in a 2.3.0 node: [`Route::Live`] for blocks whose
//! parent we hold, and [`Route::Macro`] for the next macro block of the current epoch, whatever
//! lies between. On either the block goes through [`LightChain::inspect`] (everything cheap), a
//! proof where one is needed, and [`LightChain::commit`].

use std::sync::Arc;

use nimiq_block::{Block, BlockError};
use nimiq_blockchain_interface::{ChainInfo, ChainOrdering, PushError, PushResult};
use nimiq_hash::Blake2bHash;
use nimiq_primitives::{policy::Policy, slots_allocation::Validators};

use super::{BlockRef, LATEST_TIMESTAMP, LightChain, Revision, is_beyond_reach};
use crate::{
    header, limits,
    verifier::{Verifier, VerifierError, VerifyJob},
};

/// Which rules a block is held to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Route {
    /// The parent is known; micro and macro blocks.
    Live,
    /// The next macro blocks, without what lies between.
    Macro,
}

/// A block that passed every check there is. Only this module makes one.
#[derive(Clone, Debug)]
pub struct Proven {
    block: Block,
    route: Route,
    /// Whether our clock had no say.
    at_any_time: bool,
    validators: Arc<Validators>,
    revision: Revision,
}

/// A block that passed every check but that of the validators' signatures.
#[derive(Clone, Debug)]
#[must_use]
pub struct Unproven(Proven);

/// What became of a block that was inspected.
#[derive(Clone, Debug)]
#[must_use]
pub enum Inspected {
    /// Nothing to do: it is known, or too old to matter.
    Settled(PushResult),
    /// Ready for [`LightChain::commit`].
    Proven(Box<Proven>),
    /// The validators' signatures are still to be checked.
    Unproven(Box<Unproven>),
}

/// What a block did to the chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pushed {
    /// The verdict.
    pub result: PushResult,
    /// Blocks that joined the main chain, ascending.
    pub adopted: Vec<BlockRef>,
    /// Blocks that left the main chain, ascending.
    pub reverted: Vec<BlockRef>,
}

impl Pushed {
    fn without_change(result: PushResult) -> Self {
        Self {
            result,
            adopted: Vec::new(),
            reverted: Vec::new(),
        }
    }
}

impl Proven {
    /// The block.
    pub fn block(&self) -> &Block {
        &self.block
    }
}

impl Unproven {
    /// The block.
    pub fn block(&self) -> &Block {
        &self.0.block
    }

    /// Checks the signatures through `verifier`.
    ///
    /// # Errors
    /// The outer error says that the check could not be made, the inner one that it failed.
    pub async fn prove(
        self,
        verifier: &dyn Verifier,
    ) -> Result<Result<Proven, PushError>, VerifierError> {
        let job = VerifyJob {
            block: self.0.block.clone(),
            validators: self.0.validators.clone(),
        };
        Ok(if verifier.verify(job).await? {
            Ok(self.0)
        } else {
            Err(self.refuted())
        })
    }

    /// Checks the signatures here and now.
    ///
    /// # Errors
    /// What `nimiq-block` has against them.
    pub fn prove_in_place(self) -> Result<Proven, PushError> {
        self.0.block.verify_validators(&self.0.validators)?;
        Ok(self.0)
    }

    /// Takes the block without looking at the signatures. Optimistic macro sync does this, once,
    /// and has them checked afterwards.
    pub fn on_trust(self) -> Proven {
        self.0
    }

    fn refuted(&self) -> PushError {
        match self.block().is_skip() {
            true => BlockError::InvalidSkipBlockProof.into(),
            false => BlockError::InvalidJustification.into(),
        }
    }
}

impl LightChain {
    /// Makes every check but that of aggregated signatures, and changes nothing.
    ///
    /// # Errors
    /// [`PushError::Orphan`] where the parent is not known (live route), else what is wrong with
    /// the block.
    pub fn inspect(&self, block: Block, route: Route) -> Result<Inspected, PushError> {
        self.inspect_until(block, route, Some(self.max_timestamp()))
    }

    /// Like [`LightChain::inspect`] on the macro route, whatever our clock says of the timestamp:
    /// two thirds of the validators vouch for it, and the clock of a page may be wrong.
    ///
    /// # Errors
    /// What is wrong with the block.
    pub fn inspect_macro_at_any_time(&self, block: Block) -> Result<Inspected, PushError> {
        self.inspect_until(block, Route::Macro, None)
    }

    fn inspect_until(
        &self,
        mut block: Block,
        route: Route,
        max_timestamp: Option<u64>,
    ) -> Result<Inspected, PushError> {
        let hash = block.hash_cached();
        if let Some(result) = self.settled(&block, &hash, route) {
            return Ok(Inspected::Settled(result));
        }
        if is_beyond_reach(block.block_number()) {
            return Err(BlockError::InvalidBlockNumber.into());
        }
        header::drop_body(&mut block);
        match route {
            Route::Live => self.check_live(&block)?,
            Route::Macro => {
                let max_timestamp = max_timestamp.unwrap_or(LATEST_TIMESTAMP);
                block.verify(self.params.network_id, max_timestamp)?;
                block.verify_macro_successor(&self.macro_head)?;
                // The signatures vouch for the seed, but slot selection must not depend on it.
                block.seed().try_entropy().ok_or(BlockError::InvalidSeed)?;
            }
        }

        let needs_proof = block.is_macro() || block.is_skip();
        let proven = Proven {
            block,
            route,
            at_any_time: max_timestamp.is_none(),
            validators: self.validators.clone(),
            revision: self.revision,
        };
        Ok(if needs_proof {
            Inspected::Unproven(Box::new(Unproven(proven)))
        } else {
            Inspected::Proven(Box::new(proven))
        })
    }

    /// Puts a proven block on the chain. If the chain changed since it was inspected, it is
    /// inspected again, but its signatures are not checked twice. On another chain they don't count:
    /// that one has other validators, for all we know.
    ///
    /// # Errors
    /// As [`LightChain::inspect`], and [`PushError::InvalidFork`] for a branch off a finalised block.
    pub fn commit(&mut self, proven: Proven) -> Result<Pushed, PushError> {
        let proven = if proven.revision == self.revision {
            proven
        } else {
            let checked = proven.validators;
            let max_timestamp = (!proven.at_any_time).then(|| self.max_timestamp());
            match self.inspect_until(proven.block, proven.route, max_timestamp)? {
                Inspected::Settled(result) => return Ok(Pushed::without_change(result)),
                Inspected::Proven(again) => *again,
                Inspected::Unproven(again) if Arc::ptr_eq(&again.0.validators, &checked) => again.0,
                // Signed by the validators of an epoch that is over.
                Inspected::Unproven(_) => return Err(PushError::InvalidSuccessor),
            }
        };
        self.revision = Revision::fresh();
        match proven.route {
            Route::Live => self.apply_live(proven.block),
            Route::Macro => Ok(self.apply_macro(proven.block)),
        }
    }

    /// Inspects, proves on this thread and commits.
    ///
    /// # Errors
    /// As [`LightChain::inspect`] and [`LightChain::commit`], and a proof that does not hold.
    pub fn push(&mut self, block: Block, route: Route) -> Result<Pushed, PushError> {
        let proven = match self.inspect(block, route)? {
            Inspected::Settled(result) => return Ok(Pushed::without_change(result)),
            Inspected::Proven(proven) => *proven,
            Inspected::Unproven(unproven) => unproven.prove_in_place()?,
        };
        self.commit(proven)
    }

    /// The verdict on a block that needs no check: it is known, or it can't change anything.
    fn settled(&self, block: &Block, hash: &Blake2bHash, route: Route) -> Option<PushResult> {
        let known = self.store.get(hash).is_some();
        match route {
            Route::Live => {
                let finalised = Policy::last_macro_block(self.head.block_number());
                if block.block_number() <= finalised {
                    Some(PushResult::Ignored)
                } else {
                    known.then_some(PushResult::Known)
                }
            }
            Route::Macro if known => Some(PushResult::Known),
            Route::Macro => (block.block_number() <= self.macro_head.block_number())
                .then_some(PushResult::Ignored),
        }
    }

    fn check_live(&self, block: &Block) -> Result<(), PushError> {
        let parent = self
            .store
            .get(block.parent_hash())
            .ok_or(PushError::Orphan)?;
        let parent = &parent.head;

        block.verify(self.params.network_id, self.max_timestamp())?;
        block.verify_immediate_successor(parent)?;
        if block.is_macro() {
            block.verify_macro_successor(&self.macro_head)?;
        }
        let entropy = parent.seed().try_entropy().ok_or(BlockError::InvalidSeed)?;
        let owner = self
            .slot_owner(block.block_number(), block.vrf_offset(), entropy)
            .map_err(|_| PushError::Orphan)?;
        block.verify_proposer(&owner.validator.signing_key, parent.seed())?;
        // The justification of a micro block was checked with its proposer; this finds it missing.
        if let Block::Micro(micro) = block
            && micro.justification.is_none()
        {
            return Err(BlockError::MissingJustification.into());
        }
        Ok(())
    }

    fn apply_live(&mut self, block: Block) -> Result<Pushed, PushError> {
        let parent = self
            .store
            .get(block.parent_hash())
            .ok_or(PushError::Orphan)?
            .clone();
        let order = ChainOrdering::order_chains(
            self,
            &block,
            &parent,
            |hash| {
                nimiq_blockchain_interface::AbstractBlockchain::get_chain_info(self, hash, false)
            },
            |height| {
                nimiq_blockchain_interface::AbstractBlockchain::get_block_at(self, height, false)
            },
        );
        let info = ChainInfo::from_block(block, &parent, None)?;
        match order {
            ChainOrdering::Extend => Ok(self.extend(info, &parent)),
            ChainOrdering::Superior => self.rebranch(info),
            ChainOrdering::Inferior => {
                self.store.put(info);
                Ok(Pushed::without_change(PushResult::Ignored))
            }
            ChainOrdering::Unknown => {
                self.store.put(info);
                Ok(Pushed::without_change(PushResult::Forked))
            }
        }
    }

    fn extend(&mut self, mut info: ChainInfo, parent: &ChainInfo) -> Pushed {
        let block = info.head.clone();
        info.on_main_chain = true;
        self.store.relink(
            &parent.head.hash(),
            parent.on_main_chain,
            Some(block.hash()),
        );
        if block.is_macro() {
            self.store.prune(block.block_number());
        }
        self.store.put(info);
        let adopted = vec![BlockRef::from(&block)];
        self.set_head(block);
        Pushed {
            result: PushResult::Extended,
            adopted,
            reverted: Vec::new(),
        }
    }

    fn rebranch(&mut self, info: ChainInfo) -> Result<Pushed, PushError> {
        let new_head = info.head.clone();

        // The branch, from its tip down to the block that both chains share.
        let mut branch = vec![info];
        let ancestor = loop {
            let parent_hash = branch.last().map(|info| info.head.parent_hash().clone());
            let parent = parent_hash.and_then(|hash| self.store.get(&hash));
            match parent {
                Some(parent) if parent.on_main_chain => break parent.head.clone(),
                Some(parent) => branch.push(parent.clone()),
                None => return Err(PushError::InvalidFork),
            }
        };
        if ancestor.block_number() < self.macro_head.block_number() {
            return Err(PushError::InvalidFork);
        }

        // What it replaces, from our head down.
        let mut reverted = Vec::new();
        let mut current = self.head.clone();
        while current.hash() != ancestor.hash() {
            reverted.push(BlockRef::from(&current));
            current = self
                .block(current.parent_hash())
                .ok_or(PushError::InvalidFork)?
                .clone();
        }
        reverted.reverse();
        for block in &reverted {
            self.store.relink(&block.hash, false, None);
        }

        branch.reverse();
        let adopted: Vec<_> = branch
            .iter()
            .map(|info| BlockRef::from(&info.head))
            .collect();
        self.store.relink(
            &ancestor.hash(),
            true,
            adopted.first().map(|block| block.hash.clone()),
        );
        for (i, mut info) in branch.into_iter().enumerate() {
            info.on_main_chain = true;
            info.main_chain_successor = adopted.get(i + 1).map(|block| block.hash.clone());
            self.store.put(info);
        }
        if new_head.is_macro() {
            self.store.prune(new_head.block_number());
        }
        self.set_head(new_head);
        Ok(Pushed {
            result: PushResult::Rebranched,
            adopted,
            reverted,
        })
    }

    fn apply_macro(&mut self, block: Block) -> Pushed {
        self.store.prune(block.block_number());
        self.store.put(ChainInfo::new(block.clone(), true));
        let adopted = vec![BlockRef::from(&block)];
        self.set_head(block);
        Pushed {
            result: PushResult::Extended,
            adopted,
            reverted: Vec::new(),
        }
    }

    /// Moves the head, and with a macro block all that follows from it.
    pub(super) fn set_head(&mut self, block: Block) {
        if let Block::Macro(macro_block) = &block {
            self.macro_head = macro_block.clone();
            if let Some(validators) = macro_block.get_validators() {
                self.election_head = macro_block.clone();
                self.validators = Arc::new(validators);
                self.elections
                    .insert(macro_block.block_number(), macro_block.hash());
                self.elections.keep_last(limits::REMEMBERED_ELECTIONS);
                self.note_proof_start();
            }
        }
        self.head = block;
    }
}
