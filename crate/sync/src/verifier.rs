//! Where the expensive checks run. A BLS signature over MNT6-753 costs tens of milliseconds
//! natively and half a second in wasm, so the engine never checks one itself: it hands a
//! [`VerifyJob`] to a [`Verifier`] and goes on. What a job means is decided by `nimiq-block`.

use std::sync::Arc;

use futures::future::{self, BoxFuture, FutureExt};
use nimiq_block::Block;
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

/// Runs verification jobs, away from the thread that the engine runs on where that is possible.
pub trait Verifier: Send + Sync + 'static {
    /// Resolves to whether the justification holds.
    fn verify(&self, job: VerifyJob) -> BoxFuture<'static, Result<bool, VerifierError>>;
}

/// Runs every job at once, on the calling thread. For tests, and for browsers without workers.
#[derive(Clone, Copy, Debug, Default)]
pub struct InPlaceVerifier;

impl Verifier for InPlaceVerifier {
    fn verify(&self, job: VerifyJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        // Lazily, so that the work happens where the future is awaited.
        future::lazy(move |_| Ok(job.run())).boxed()
    }
}

/// Runs jobs on tokio's pool of blocking threads.
#[cfg(not(target_family = "wasm"))]
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolVerifier;

#[cfg(not(target_family = "wasm"))]
impl Verifier for PoolVerifier {
    fn verify(&self, job: VerifyJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        async move {
            tokio::task::spawn_blocking(move || job.run())
                .await
                .map_err(|error| VerifierError::Unavailable(error.to_string()))
        }
        .boxed()
    }
}
