//! Where the expensive checks run. A BLS signature over MNT6-753 costs tens of milliseconds
//! natively and half a second in wasm, so the engine never checks one itself: it hands a
//! [`VerifyJob`] to a [`Verifier`] and goes on. What a job means is decided by `nimiq-block`.
//!
//! Proofs of the election chain go the same way, as [`ProofJob`]s. The engine knows nothing of what
//! they are made of: whoever has the network's verifying key plugs in a [`ProofCheck`].

use std::sync::Arc;

use futures::future::{self, BoxFuture, FutureExt};
use nimiq_block::Block;
use nimiq_hash::Blake2sHash;
use nimiq_primitives::slots_allocation::Validators;
use nimiq_serde::{Deserialize, DeserializeError, Serialize};
use thiserror::Error;

/// Why a check could not be made. Says nothing about the block.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum VerifierError {
    /// The job could not be read on the other side.
    #[error("the verification job is malformed")]
    Malformed,
    /// Whatever runs the jobs is gone.
    #[error("the verifier is unavailable: {0}")]
    Unavailable(String),
}

/// Checks one block's justification: that validators who own at least 342 of the 512 slots signed
/// it, and, for an election block, that the voting keys it elects can be decoded.
#[derive(Clone, Debug)]
pub struct VerifyJob {
    pub(crate) block: Block,
    pub(crate) validators: Arc<Validators>,
}

impl VerifyJob {
    /// Number of the block in question, for logs and events.
    pub fn block_number(&self) -> u32 {
        self.block.block_number()
    }

    /// Runs the check on this thread and tells whether the justification holds.
    pub fn run(&self) -> bool {
        // Decoding the seed of a skip block's message panics in `nimiq-block` where it can't be done.
        self.block.seed().try_entropy().is_some()
            && self.block.verify_validators(&self.validators).is_ok()
    }

    /// The job as bytes, to be run elsewhere by [`VerifyJob::run_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.validators.validators.serialize_to_vec();
        bytes.extend(self.block.serialize_to_vec());
        bytes
    }

    /// Decodes a job and runs it on this thread.
    ///
    /// # Errors
    /// [`VerifierError::Malformed`] when the bytes are no job.
    pub fn run_bytes(bytes: &[u8]) -> Result<bool, VerifierError> {
        Ok(Self::from_bytes(bytes)
            .map_err(|_| VerifierError::Malformed)?
            .run())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DeserializeError> {
        let (validators, rest) = Deserialize::deserialize_take(bytes)?;
        let validators = Validators::new(validators);
        // The slot look-up of `nimiq-primitives` panics on a set with gaps.
        validators
            .validate_structure()
            .map_err(|_| DeserializeError::bad_encoding())?;
        Ok(Self {
            block: Deserialize::deserialize_all(rest)?,
            validators: Arc::new(validators),
        })
    }
}

/// A proof that a chain of election blocks, each signed by the validators of the one before, leads
/// from one election block to another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProofJob {
    /// Blake2s header hash of the election block that proofs of this network start from.
    pub anchor: Blake2sHash,
    /// Blake2s header hash of the election block that is to be proven.
    pub head: Blake2sHash,
    /// The proof as it was delivered: at most [`MAX_PROOF_SIZE`](crate::messages::MAX_PROOF_SIZE)
    /// bytes of whatever a peer sent.
    pub proof: Vec<u8>,
    /// Number of the block in question, for logs and events; no part of the statement.
    pub block_number: u32,
}

/// Tells whether a proof holds under the network's verifying key. Called on whichever thread the
/// [`Verifier`] that holds it runs its jobs on.
pub type ProofCheck = Arc<dyn Fn(&ProofJob) -> bool + Send + Sync>;

/// Runs verification jobs, away from the thread that the engine runs on where that is possible.
pub trait Verifier: Send + Sync + 'static {
    /// Resolves to whether the justification holds.
    fn verify(&self, job: VerifyJob) -> BoxFuture<'static, Result<bool, VerifierError>>;

    /// Resolves to whether the proof holds. An error says that nobody could tell, and nothing of
    /// the proof. The engine has one proof checked at a time.
    ///
    /// Without an implementation, there is no verifying key: nobody can tell.
    fn verify_proof(&self, job: ProofJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        drop(job);
        future::ready(Err(no_key())).boxed()
    }
}

fn no_key() -> VerifierError {
    VerifierError::Unavailable("no verifying key".to_owned())
}

/// Runs every job at once, on the calling thread. For tests, and for browsers without workers.
#[derive(Clone, Default)]
pub struct InPlaceVerifier {
    proofs: Option<ProofCheck>,
}

impl InPlaceVerifier {
    /// One that can check proofs as well.
    pub fn with_proofs(check: ProofCheck) -> Self {
        Self {
            proofs: Some(check),
        }
    }
}

impl Verifier for InPlaceVerifier {
    fn verify(&self, job: VerifyJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        // Lazily, so that the work happens where the future is awaited.
        future::lazy(move |_| Ok(job.run())).boxed()
    }

    fn verify_proof(&self, job: ProofJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        let check = self.proofs.clone();
        future::lazy(move |_| check.map(|check| check(&job)).ok_or_else(no_key)).boxed()
    }
}

/// Runs jobs on tokio's pool of blocking threads.
#[cfg(not(target_family = "wasm"))]
#[derive(Clone, Default)]
pub struct PoolVerifier {
    proofs: Option<ProofCheck>,
}

#[cfg(not(target_family = "wasm"))]
impl PoolVerifier {
    /// One that can check proofs as well.
    pub fn with_proofs(check: ProofCheck) -> Self {
        Self {
            proofs: Some(check),
        }
    }
}

#[cfg(not(target_family = "wasm"))]
impl Verifier for PoolVerifier {
    fn verify(&self, job: VerifyJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        in_pool(move || job.run()).boxed()
    }

    fn verify_proof(&self, job: ProofJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        match self.proofs.clone() {
            Some(check) => in_pool(move || check(&job)).boxed(),
            None => future::ready(Err(no_key())).boxed(),
        }
    }
}

#[cfg(not(target_family = "wasm"))]
async fn in_pool(check: impl FnOnce() -> bool + Send + 'static) -> Result<bool, VerifierError> {
    tokio::task::spawn_blocking(check)
        .await
        .map_err(|error| VerifierError::Unavailable(error.to_string()))
}
