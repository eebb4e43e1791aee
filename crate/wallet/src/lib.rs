//! Keys, addresses and signed transactions for Nimiq: what a page needs to hold an account and pay from it.
//!
//! Mnemonics are those of BIP-39, key derivation is that of SLIP-10 for Ed25519, and the transactions are made by
//! Nimiq's own builder. There is no network in here, and no state of the chain: whether an account has what it spends
//! is for nodes to say. What can be told from a transaction alone is checked before it is signed.
//!
//! Secrets are wiped when they are dropped. In the browser that goes further: there every block of memory is wiped as
//! it is freed, whoever held it, and the stack after each call (`wasm`). No secret is in a message of an error or in
//! what `Debug` prints.

pub mod address;
pub mod error;
pub mod key_pair;
pub mod mnemonic;
pub mod path;
mod random;
pub mod transaction;

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
pub use wasm::*;

pub use self::{
    error::{ErrorCode, WalletError},
    key_pair::KeyPair,
    mnemonic::Mnemonic,
    path::Path,
    transaction::Terms,
};
