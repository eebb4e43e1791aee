//! What exists in the browser only: the exported class and functions, and what they need of JavaScript.

mod bridge;
mod chain_types;
mod convert;
mod core;
mod logger;
mod pump;
mod queries;
mod stored;
mod transactions;
mod types;
mod verifier;

use js_sys::Function;
use wasm_bindgen::prelude::*;

pub use self::{
    bridge::Bridge,
    core::{ClientCore, PreparedClient},
    transactions::TransactionReader,
    verifier::{start_verifier, verify_job},
};

/// Has `handler` called with the message of a panic, just before the instance traps. Nothing may be
/// called in the instance afterwards.
#[wasm_bindgen(js_name = setPanicHandler)]
pub fn set_panic_handler(
    #[wasm_bindgen(unchecked_param_type = "(message: string) => void")] handler: Function,
) {
    // wasm without threads has one thread only, so the wrapper never objects.
    let handler = send_wrapper::SendWrapper::new(handler);
    std::panic::set_hook(Box::new(move |info| {
        // A handler that throws can't be told about it any more.
        let _ = handler.call1(&JsValue::UNDEFINED, &JsValue::from_str(&info.to_string()));
    }));
}
