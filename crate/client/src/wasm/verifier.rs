//! Verification in the Web Worker: the page's side sends jobs through the wrapper, the worker's runs them.

use std::{cell::OnceCell, rc::Rc};

use futures::{FutureExt, future::BoxFuture};
use js_sys::{Reflect, Uint8Array};
use pico_sync::{
    Clock, NetworkParams, ProofJob, SyncEvent, TimedEvent, Verifier, VerifierError, VerifyJob,
};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::bridge::Bridge;
use crate::{
    error::{ClientError, ErrorCode},
    options,
    proof::{Checks, encode_proof, encode_signatures},
};

/// Runs jobs in the wrapper's worker. Where there is none, it is told so: the engine checks signatures itself, and
/// proofs are checked here.
pub(crate) struct WorkerVerifier {
    page: SendWrapper<Rc<Page>>,
}

/// The page's side.
struct Page {
    bridge: Bridge,
    clock: Clock,
    checks: Checks,
}

impl WorkerVerifier {
    pub(crate) fn new(bridge: &Bridge, clock: Clock, checks: Checks) -> Self {
        let page = Page {
            bridge: bridge.clone(),
            clock,
            checks,
        };
        Self {
            page: SendWrapper::new(Rc::new(page)),
        }
    }
}

impl Verifier for WorkerVerifier {
    fn verify(&self, job: VerifyJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        let page = self.page.clone();
        let work = async move {
            let bytes = encode_signatures(&job);
            match page.in_worker(&bytes).await {
                Ok(verdict) => {
                    verdict.ok_or_else(|| VerifierError::Unavailable("no worker".to_owned()))
                }
                Err(error) if code(&error) == ErrorCode::Worker.as_str() => {
                    // A check that brings down one worker after the other would bring down the page
                    // as well. No honest block does that.
                    log::error!("block {}: {}", job.block_number(), message(&error));
                    Ok(false)
                }
                Err(error) => Err(unavailable(&error)),
            }
        };
        SendWrapper::new(work).boxed()
    }

    fn verify_proof(&self, job: ProofJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        let page = self.page.clone();
        let work = async move {
            let Some(bytes) = encode_proof(&job) else {
                return Ok(false);
            };
            match page.in_worker(&bytes).await {
                Ok(Some(verdict)) => Ok(verdict),
                Ok(None) => page.in_place(&bytes),
                // Also if workers die of it: all proofs are the same work, so that is nobody's lie. And there is
                // another way to trust.
                Err(error) => Err(unavailable(&error)),
            }
        };
        SendWrapper::new(work).boxed()
    }
}

impl Page {
    /// What the worker says of a job; `None` if there is no worker.
    async fn in_worker(&self, job: &[u8]) -> Result<Option<bool>, JsValue> {
        // A copy: the worker gets it, and the memory it lies in may move.
        let promise = self.bridge.verify(Uint8Array::from(job))?;
        Ok(JsFuture::from(promise).await?.as_bool())
    }

    fn in_place(&self, job: &[u8]) -> Result<bool, VerifierError> {
        let reason = "no worker".to_owned();
        self.bridge.tell(&TimedEvent {
            at: self.clock.now_ms(),
            event: SyncEvent::VerifiedInPlace { reason },
        });
        let verdict = self.checks.run(job);
        verdict.map_err(|error| VerifierError::Unavailable(error.message))
    }
}

fn unavailable(error: &JsValue) -> VerifierError {
    VerifierError::Unavailable(message(error))
}

fn code(error: &JsValue) -> String {
    let code = Reflect::get(error, &JsValue::from_str("code")).ok();
    code.and_then(|code| code.as_string()).unwrap_or_default()
}

fn message(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => error
            .as_string()
            .unwrap_or_else(|| "unknown reason".to_owned()),
    }
}

thread_local! {
    /// What a worker checks with, once it has started.
    static CHECKS: OnceCell<Checks> = const { OnceCell::new() };
}

/// Prepares this instance, a worker's, for the jobs of one network, whose `key` of election-chain proofs is that of
/// the client.
///
/// # Errors
/// `worker` if there is no such network or the instance serves another one.
#[wasm_bindgen(js_name = startVerifier)]
pub fn start_verifier(network: &str, key: Option<Vec<u8>>) -> Result<(), JsValue> {
    let params = NetworkParams::by_name(network).filter(|params| params.install_policy());
    let Some(params) = params else {
        let message = format!("not a verifier for {network}");
        return Err(ClientError::new(ErrorCode::Worker, message).into());
    };
    // One that is none has been dealt with by the client, which sends no proofs then.
    let key = key.and_then(|key| options::parse_key(&key, params).ok());
    CHECKS.with(|checks| {
        checks.get_or_init(|| Checks::new(key));
    });
    Ok(())
}

/// Whether the signatures, or the proof, in `job`, as encoded by the client, hold.
///
/// # Errors
/// `worker` if the bytes are no job.
#[wasm_bindgen(js_name = verifyJob)]
pub fn verify_job(job: &[u8]) -> Result<bool, JsValue> {
    let not_started = || ClientError::new(ErrorCode::Worker, "the verifier has not started");
    let verdict = CHECKS.with(|checks| checks.get().ok_or_else(not_started)?.run(job));
    verdict.map_err(JsValue::from)
}
