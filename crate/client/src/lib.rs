//! The browser bindings of pico-sync: the wasm class behind `PicoSyncClient` of the npm package.
//!
//! Thin on purpose. Options come in as plain values and are checked here; the engine and the network
//! are started and connected to each other; what they report goes out as plain values. There is no
//! protocol logic, and none of the life cycle that has to survive a crash of this very code:
//! iterators, promises and the verification worker are kept by the TypeScript wrapper in `package/`.
//!
//! What can be compiled natively is, so that it is tested by plain `cargo test`.

pub mod answer;
pub mod argument;
mod check;
pub mod error;
pub mod event;
pub mod options;
pub mod proof;
pub mod value;

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
pub use wasm::*;
