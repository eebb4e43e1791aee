//! Verifiers that engines under test are given.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use nimiq_hash::{Blake2bHash, Blake2bHasher, Hasher};
use parking_lot::Mutex;
use pico_sync::{ProofJob, Verifier, VerifierError, VerifyJob};

use super::proofs::holds;

/// The real verifier, which remembers what it has found: many scenarios check the same blocks.
#[derive(Debug, Default)]
pub struct MemoVerifier {
    /// How many jobs it was given.
    pub jobs: AtomicUsize,
    /// The proofs that it was given, and how it fares with them.
    pub proofs: Mutex<Vec<ProofJob>>,
    pub with_proofs: Mutex<Fate>,
    /// How many proofs are being checked, and how many were at once.
    checking: Arc<AtomicUsize>,
    pub most_checking: Arc<AtomicUsize>,
}

/// What becomes of the check of a proof.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Fate {
    /// It takes some time, and its verdict is right.
    #[default]
    Works,
    /// It fails so often, and works then.
    Fails(usize),
    /// It never ends.
    Hangs,
}

/// How long the check of a proof takes.
pub const CHECK_TIME: Duration = Duration::from_millis(40);

impl Verifier for MemoVerifier {
    fn verify(&self, job: VerifyJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        static KNOWN: LazyLock<Mutex<HashMap<Blake2bHash, bool>>> = LazyLock::new(Mutex::default);
        self.jobs.fetch_add(1, Ordering::Relaxed);
        async move {
            let key = Blake2bHasher::new().digest(&job.to_bytes());
            let known = KNOWN.lock().get(&key).copied();
            // A job takes time, so that things can happen meanwhile.
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok(match known {
                Some(valid) => valid,
                None => {
                    let valid = job.run();
                    KNOWN.lock().insert(key, valid);
                    valid
                }
            })
        }
        .boxed()
    }

    fn verify_proof(&self, job: ProofJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        self.proofs.lock().push(job.clone());
        let mut fate = self.with_proofs.lock();
        let now = *fate;
        if let Fate::Fails(times) = now {
            *fate = match times {
                0 | 1 => Fate::Works,
                times => Fate::Fails(times - 1),
            };
        }
        drop(fate);
        let (checking, most) = (self.checking.clone(), self.most_checking.clone());
        async move {
            let at_once = checking.fetch_add(1, Ordering::Relaxed) + 1;
            most.fetch_max(at_once, Ordering::Relaxed);
            match now {
                Fate::Hangs => futures::future::pending::<()>().await,
                _ => tokio::time::sleep(CHECK_TIME).await,
            }
            checking.fetch_sub(1, Ordering::Relaxed);
            match now {
                Fate::Fails(1..) => Err(VerifierError::Unavailable("worker is gone".into())),
                _ => Ok(holds(&job)),
            }
        }
        .boxed()
    }
}

/// A verifier that never works.
#[derive(Clone, Copy, Debug)]
pub struct BrokenVerifier;

impl Verifier for BrokenVerifier {
    fn verify(&self, _job: VerifyJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        async { Err(VerifierError::Unavailable("broken".into())) }.boxed()
    }
}
