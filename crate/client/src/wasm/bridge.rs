//! What the wrapper does for the core.

use js_sys::{Promise, Uint8Array};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::convert;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** What the wrapper does for the core. None of it may throw, or call the core back before it returns. */
export interface Bridge {
    event(event: SyncEvent | UnlistedEvent): void;
    log(level: LogRecord['level'], target: string, message: string): void;
    /** Whether the signatures, or the proof, in an encoded job hold; `undefined` if the core has to find out itself. */
    verify(job: Uint8Array): Promise<boolean | undefined>;
}
"#;

#[wasm_bindgen]
extern "C" {
    /// The wrapper's side.
    #[wasm_bindgen(typescript_type = "Bridge")]
    #[derive(Clone)]
    pub type Bridge;

    /// Hands out an event.
    #[wasm_bindgen(method, catch)]
    pub fn event(this: &Bridge, event: &JsValue) -> Result<(), JsValue>;

    /// Hands out a log record.
    #[wasm_bindgen(method, catch)]
    pub fn log(this: &Bridge, level: &str, target: &str, message: &str) -> Result<(), JsValue>;

    /// Has a job done by the verification worker.
    #[wasm_bindgen(method, catch)]
    pub fn verify(this: &Bridge, job: Uint8Array) -> Result<Promise, JsValue>;
}

impl Bridge {
    /// Hands out an event that this side has to tell of.
    pub(super) fn tell(&self, event: &impl Serialize) {
        if let Err(error) = self.event(&convert::to_js(event)) {
            log::error!("the wrapper did not take an event: {error:?}");
        }
    }
}
