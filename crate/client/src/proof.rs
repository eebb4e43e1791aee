//! Checks on their way to wherever they are made, and the making of them. The engine knows blocks and no
//! proof systems, `pico-zkp` the other way round: they meet here.

use std::cell::OnceCell;

use pico_sync::{ProofJob, VerifyJob};
use pico_zkp::{KeyError, PreparedVerifyingKey, Statement, VerifyingKey};

use crate::error::{ClientError, ErrorCode};

/// Kinds of jobs: the first byte of each.
const SIGNATURES: u8 = 0;
const PROOF: u8 = 1;
/// Bytes of a Blake2s hash.
const HASH: usize = 32;
/// The longest proof of any kind, in bytes.
pub const MAX_PROOF_SIZE: usize = 475;

/// A job as [`Checks::run`] takes it: of signatures.
pub fn encode_signatures(job: &VerifyJob) -> Vec<u8> {
    let mut bytes = vec![SIGNATURES];
    bytes.extend(job.to_bytes());
    bytes
}

/// A job as [`Checks::run`] takes it: of a proof. `None` if that is longer than any proof, and so can't hold.
pub fn encode_proof(job: &ProofJob) -> Option<Vec<u8>> {
    if job.proof.len() > MAX_PROOF_SIZE {
        return None;
    }
    let mut bytes = vec![PROOF];
    bytes.extend_from_slice(&job.anchor.0);
    bytes.extend_from_slice(&job.head.0);
    bytes.extend_from_slice(&job.proof);
    Some(bytes)
}

/// Makes checks on this thread.
#[derive(Default)]
pub struct Checks {
    key: Option<VerifyingKey>,
    /// Costs as much as half a check, and is worth it only once there is one.
    prepared: OnceCell<Result<PreparedVerifyingKey, KeyError>>,
}

impl Checks {
    /// Of signatures and, where there is a key, of proofs.
    pub const fn new(key: Option<VerifyingKey>) -> Self {
        Self {
            key,
            prepared: OnceCell::new(),
        }
    }

    /// Whether the signatures, or the proof, in an encoded job hold.
    ///
    /// # Errors
    /// `worker` if the bytes are no job, or one of a proof and there is no key that is of use.
    pub fn run(&self, job: &[u8]) -> Result<bool, ClientError> {
        let verdict = match job.split_first() {
            Some((&SIGNATURES, job)) => {
                VerifyJob::run_bytes(job).map_err(|error| error.to_string())
            }
            Some((&PROOF, job)) => self.run_proof(job),
            _ => Err("the verification job is of no known kind".to_owned()),
        };
        verdict.map_err(|why| ClientError::new(ErrorCode::Worker, why))
    }

    fn run_proof(&self, job: &[u8]) -> Result<bool, String> {
        let short = "the verification job is cut short";
        let (anchor, job) = job.split_first_chunk::<HASH>().ok_or(short)?;
        let (head, proof) = job.split_first_chunk::<HASH>().ok_or(short)?;
        let key = self.key.as_ref().ok_or("there is no verifying key")?;
        let key = self.prepared.get_or_init(|| key.prepare()).as_ref();
        let key = key.map_err(|error| format!("verifying key: {error}"))?;
        let statement = Statement {
            anchor: *anchor,
            head: *head,
        };
        Ok(key.verify(&statement, proof).is_ok())
    }
}
