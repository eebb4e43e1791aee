//! What is to be proven next, and doing it.

use std::time::{Duration, Instant};

use nimiq_block::MacroBlock;
use nimiq_primitives::policy::Policy;
use thiserror::Error;

use super::Elections;
use crate::proofs::{ElectionBlocks, ProofStore, StoreError, StoredProof, hash_of};

/// The blocks that one step is about, header and justification.
#[derive(Clone, Copy, Debug)]
pub struct Epoch<'a> {
    /// The election block that proofs start from.
    pub anchor: &'a MacroBlock,
    /// The election block that is proven already, or the anchor.
    pub previous: &'a MacroBlock,
    /// The one an epoch later, which is to be proven.
    pub next: &'a MacroBlock,
}

/// Why there is no proof, in words.
#[derive(Clone, Debug, Error)]
#[error("{0}")]
pub struct ProverError(pub String);

/// Makes proofs. Each call takes its time, and tells meanwhile what it does.
pub trait EpochProver: Send + Sync {
    /// Number of the election block that its proofs start from.
    fn anchor_number(&self) -> u32;

    /// Proves one epoch on top of a wrapped proof, or the first one without. The result is not wrapped.
    ///
    /// # Errors
    /// If the blocks can't be proven.
    fn step(
        &self,
        epoch: Epoch<'_>,
        link: Option<&StoredProof>,
        tell: &mut dyn FnMut(String),
    ) -> Result<StoredProof, ProverError>;

    /// Makes the proof that the next step builds on.
    ///
    /// # Errors
    /// If the step isn't right.
    fn wrap(
        &self,
        step: &StoredProof,
        tell: &mut dyn FnMut(String),
    ) -> Result<Vec<u8>, ProverError>;

    /// Whether clients would accept a proof.
    fn accepts(&self, proof: &StoredProof) -> bool;
}

/// What can keep proofs from being made.
#[derive(Debug, Error)]
pub enum ProveError {
    /// The store can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The prover fails.
    #[error("block {number} can't be proven: {source}")]
    Prover {
        /// Number of the election block.
        number: u32,
        /// What the prover said.
        source: ProverError,
    },
    /// The prover made a proof that nobody would accept.
    #[error("the proof of block {0} is not accepted by the verifying key")]
    NotAccepted(u32),
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Prove the election block of this number on top of a proof, or as the first one.
    Step {
        /// Number of the election block.
        number: u32,
        /// The proof of the one before.
        link: Option<StoredProof>,
    },
    /// Wrap this proof.
    Wrap(StoredProof),
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// An epoch is begun.
    Begun {
        /// Number of its election block.
        number: u32,
        /// Number of the last election block that there is to prove.
        of: u32,
    },
    /// The prover does this now.
    Stage(String),
    /// The election block of this number is proven, and the proof stored.
    Proven {
        /// Number of the election block.
        number: u32,
        /// How long it took.
        took: Duration,
    },
    /// That proof is wrapped, so that the next can build on it.
    Wrapped {
        /// Number of the election block.
        number: u32,
        /// How long it took.
        took: Duration,
    },
}

/// Proves what there is to prove.
#[derive(Debug)]
pub struct Proving<P> {
    prover: P,
    store: ProofStore,
    elections: Elections,
}

impl<P: EpochProver> Proving<P> {
    /// Proves these blocks, and keeps the proofs in this store. Nobody else may add to it.
    pub fn new(prover: P, store: ProofStore, elections: Elections) -> Self {
        Self {
            prover,
            store,
            elections,
        }
    }

    /// What is to be done next, going by the files that are there. `None` if all is proven.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn next(&self) -> Result<Option<Task>, ProveError> {
        let anchor_number = self.prover.anchor_number();
        let Some(anchor) = self.elections.at(anchor_number) else {
            return Ok(None);
        };
        let anchor = hash_of(&anchor);
        let is_good = |proof: &StoredProof| {
            proof.anchor == anchor
                && self
                    .elections
                    .at(proof.block_number)
                    .is_some_and(|block| hash_of(&block) == proof.head)
                && self.prover.accepts(proof)
        };
        // A single proof is as good as all before it.
        let last = self.store.load()?.into_values().rev().find(is_good);
        let proven = match &last {
            Some(proof) if proof.wrapper.is_none() => {
                return Ok(Some(Task::Wrap(proof.clone())));
            }
            Some(proof) => proof.block_number,
            None => anchor_number,
        };
        let number = proven.saturating_add(Policy::blocks_per_epoch());
        let exists = self.elections.at(number).is_some();
        Ok(exists.then_some(Task::Step { number, link: last }))
    }

    /// Does one thing, and stores what comes of it.
    ///
    /// # Errors
    /// If it can't be proven, or can't be stored.
    pub fn perform(&self, task: Task, report: &mut dyn FnMut(Progress)) -> Result<(), ProveError> {
        let began = Instant::now();
        match task {
            Task::Step { number, link } => {
                let failed = |source| ProveError::Prover { number, source };
                let missing = || failed(ProverError("there is no such block".into()));
                let at = |number| self.elections.at(number).ok_or_else(missing);
                let anchor = at(self.prover.anchor_number())?;
                let previous = at(number.saturating_sub(Policy::blocks_per_epoch()))?;
                let next = at(number)?;
                report(Progress::Begun {
                    number,
                    of: self.elections.last().unwrap_or(number),
                });
                let epoch = Epoch {
                    anchor: &anchor,
                    previous: &previous,
                    next: &next,
                };
                let mut tell = |stage| report(Progress::Stage(stage));
                let step = self
                    .prover
                    .step(epoch, link.as_ref(), &mut tell)
                    .map_err(failed)?;
                if !self.prover.accepts(&step) {
                    return Err(ProveError::NotAccepted(number));
                }
                // From here on it is served.
                self.store.put(&step)?;
                let took = began.elapsed();
                report(Progress::Proven { number, took });
            }
            Task::Wrap(mut proof) => {
                let number = proof.block_number;
                let wrapper = self
                    .prover
                    .wrap(&proof, &mut |stage| report(Progress::Stage(stage)))
                    .map_err(|source| ProveError::Prover { number, source })?;
                proof.wrapper = Some(wrapper);
                self.store.put(&proof)?;
                let took = began.elapsed();
                report(Progress::Wrapped { number, took });
            }
        }
        Ok(())
    }

    /// Goes on until all blocks are proven.
    ///
    /// # Errors
    /// If one can't be proven, or can't be stored.
    pub fn catch_up(&self, report: &mut dyn FnMut(Progress)) -> Result<(), ProveError> {
        while let Some(task) = self.next()? {
            self.perform(task, report)?;
        }
        Ok(())
    }
}
