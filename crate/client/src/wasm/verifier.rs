//! Verification in the Web Worker: the page's side sends jobs through the wrapper, the worker's runs them.

use futures::{FutureExt, future::BoxFuture};
use js_sys::{Reflect, Uint8Array};
use pico_sync::{NetworkParams, Verifier, VerifierError, VerifyJob};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::bridge::Bridge;
use crate::error::{ClientError, ErrorCode};

/// Runs jobs in the wrapper's worker. Where there is none, the engine is told so and does them itself.
pub(crate) struct WorkerVerifier {
    bridge: SendWrapper<Bridge>,
}

impl WorkerVerifier {
    pub(crate) fn new(bridge: &Bridge) -> Self {
        Self {
            bridge: SendWrapper::new(bridge.clone()),
        }
    }
}

impl Verifier for WorkerVerifier {
    fn verify(&self, job: VerifyJob) -> BoxFuture<'static, Result<bool, VerifierError>> {
        let bridge = self.bridge.clone();
        let work = async move {
            // A copy: the worker gets it, and the memory it lies in may move.
            let bytes = Uint8Array::from(job.to_bytes().as_slice());
            let verdict = match bridge.verify(bytes) {
                Ok(promise) => JsFuture::from(promise).await,
                Err(error) => Err(error),
            };
            match verdict {
                Ok(verdict) => verdict
                    .as_bool()
                    .ok_or_else(|| VerifierError::Unavailable("no worker".to_owned())),
                Err(error) if code(&error) == ErrorCode::Worker.as_str() => {
                    // A check that brings down one worker after the other would bring down the page as
                    // well. No honest block does that.
                    log::error!("block {}: {}", job.block_number(), message(&error));
                    Ok(false)
                }
                Err(error) => Err(VerifierError::Unavailable(message(&error))),
            }
        };
        SendWrapper::new(work).boxed()
    }
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

/// Prepares this instance, a worker's, for the jobs of one network.
///
/// # Errors
/// `worker` if there is no such network or the instance serves another one.
#[wasm_bindgen(js_name = startVerifier)]
pub fn start_verifier(network: &str) -> Result<(), JsValue> {
    match NetworkParams::by_name(network) {
        Some(params) if params.install_policy() => Ok(()),
        _ => {
            Err(ClientError::new(ErrorCode::Worker, format!("not a verifier for {network}")).into())
        }
    }
}

/// Whether the signatures in `job`, as encoded by the engine, hold.
///
/// # Errors
/// `worker` if the bytes are no job.
#[wasm_bindgen(js_name = verifyJob)]
pub fn verify_job(job: &[u8]) -> Result<bool, JsValue> {
    VerifyJob::run_bytes(job)
        .map_err(|error| ClientError::new(ErrorCode::Worker, error.to_string()).into())
}
