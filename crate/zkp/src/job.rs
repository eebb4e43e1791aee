//! What a worker is handed.

use thiserror::Error;

use crate::key::{KeyError, VerifyingKey};
use crate::verify::{PreparedVerifyingKey, ProofError, Statement};

/// A proof to verify, with all that is needed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyJob {
    /// A [`VerifyingKey`], as bytes.
    pub key: Vec<u8>,
    /// What the proof has to say.
    pub statement: Statement,
    /// The proof as it came from a peer.
    pub proof: Vec<u8>,
}

/// Bytes are no job.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a job")]
pub struct JobError;

impl VerifyJob {
    /// The hash of the anchor, of the head, the length of the key (4 bytes, little-endian), the key and the proof.
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = self.key.len() as u32;
        [
            self.statement.anchor.as_slice(),
            &self.statement.head,
            &length.to_le_bytes(),
            &self.key,
            &self.proof,
        ]
        .concat()
    }

    /// See [`to_bytes`](Self::to_bytes).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, JobError> {
        let (anchor, bytes) = bytes.split_first_chunk().ok_or(JobError)?;
        let (head, bytes) = bytes.split_first_chunk().ok_or(JobError)?;
        let (length, bytes) = bytes.split_first_chunk().ok_or(JobError)?;
        let (key, proof) = bytes
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or(JobError)?;
        Ok(Self {
            key: key.to_vec(),
            statement: Statement {
                anchor: *anchor,
                head: *head,
            },
            proof: proof.to_vec(),
        })
    }
}

/// Why a job has no good end.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum VerifyError {
    /// Nothing can be verified with the key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The proof is refused.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// The key of the last job, prepared: a client has one.
#[derive(Default)]
pub struct KeyCache(Option<(Vec<u8>, PreparedVerifyingKey)>);

impl KeyCache {
    /// Verifies the proof. The key is prepared if it isn't the one of the last job.
    pub fn verify(&mut self, job: &VerifyJob) -> Result<(), VerifyError> {
        let prepared = match self.0.take() {
            Some((key, prepared)) if key == job.key => prepared,
            _ => VerifyingKey::from_bytes(&job.key)?.prepare()?,
        };
        let result = prepared.verify(&job.statement, &job.proof);
        self.0 = Some((job.key.clone(), prepared));
        Ok(result?)
    }
}
