//! What an earlier run left behind, and what this one leaves: records that the wrapper keeps.

use js_sys::{Object, Reflect, Uint8Array};
use pico_network::{
    Keypair, Network, SavedContacts, identity_from_secret, new_identity, secret_of,
};
use pico_sync::{
    Clock, Handle, NetworkParams, SavedChain, StorageRecord, StorageStatus, SyncEvent, TimedEvent,
};
use wasm_bindgen::prelude::*;

use super::bridge::Bridge;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** What is kept from one run to the next. */
export type RecordName = 'identity' | 'contacts' | 'chain';
/** The records of an earlier run. */
export interface Stored {
    identity?: Uint8Array;
    contacts?: Uint8Array;
    chain?: Uint8Array;
    /** Number of the newest macro block that was ever stored: an older chain is a downgrade. */
    chainAtLeast?: number;
}
/** A record to keep. */
export interface Saved {
    bytes: Uint8Array;
    /** Of a chain: the macro block that it ends with. */
    blockNumber?: number;
}
"#;

/// The records of an earlier run, as far as they are of use.
pub(super) struct Stored {
    pub(super) identity: Keypair,
    pub(super) contacts: SavedContacts,
    pub(super) chain: Option<SavedChain>,
}

impl Stored {
    /// Reads the records. What is of no use is told, and replaced by what a first run has.
    pub(super) fn read(
        stored: &JsValue,
        params: &'static NetworkParams,
        clock: &Clock,
        bridge: &Bridge,
    ) -> Self {
        let say = |record, reason: Option<String>| {
            let event = SyncEvent::Storage {
                status: match reason {
                    Some(_) => StorageStatus::Discarded,
                    None => StorageStatus::Restored,
                },
                record,
                reason,
                block_number: None,
            };
            let at = clock.now_ms();
            bridge.tell(&TimedEvent { at, event });
        };
        let identity = bytes(stored, "identity").and_then(|secret| {
            let identity = identity_from_secret(&secret);
            say(
                StorageRecord::Identity,
                identity.as_ref().err().map(ToString::to_string),
            );
            identity.ok()
        });
        let contacts = bytes(stored, "contacts").and_then(|bytes| {
            let contacts = SavedContacts::from_bytes(&bytes, &params.genesis().hash);
            say(
                StorageRecord::Contacts,
                contacts.as_ref().err().map(ToString::to_string),
            );
            contacts.ok()
        });
        let chain = bytes(stored, "chain").and_then(|bytes| {
            let at_least = property(stored, "chainAtLeast").as_f64().unwrap_or(0.0);
            // Saturates, so that nonsense is a downgrade.
            let chain = SavedChain::from_bytes(params, clock, &bytes, at_least as u32);
            // Whether it is used is decided, and told, by the engine.
            if let Err(error) = &chain {
                say(StorageRecord::Chain, Some(error.to_string()));
            }
            chain.ok()
        });
        Self {
            identity: identity.unwrap_or_else(new_identity),
            contacts: contacts.unwrap_or_default(),
            chain,
        }
    }
}

/// The record called `name` as it is now; `undefined` if there is nothing to keep.
pub(super) fn saved(
    name: &str,
    params: &NetworkParams,
    identity: &Keypair,
    network: &Network,
    engine: &Handle,
) -> JsValue {
    match name {
        "identity" => secret_of(identity).map(|secret| record(&secret, None)),
        "contacts" => {
            let bytes = network.contacts().to_bytes(&params.genesis().hash);
            Some(record(&bytes, None))
        }
        "chain" => engine
            .saved()
            .map(|chain| record(&chain.to_bytes(params), Some(chain.block_number()))),
        _ => None,
    }
    .unwrap_or(JsValue::UNDEFINED)
}

fn record(bytes: &[u8], block_number: Option<u32>) -> JsValue {
    let record = Object::new();
    // A fresh object takes any property.
    let _ = Reflect::set(
        &record,
        &JsValue::from_str("bytes"),
        &Uint8Array::from(bytes),
    );
    if let Some(number) = block_number {
        let _ = Reflect::set(&record, &JsValue::from_str("blockNumber"), &number.into());
    }
    record.into()
}

fn property(of: &JsValue, name: &str) -> JsValue {
    Reflect::get(of, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

fn bytes(stored: &JsValue, name: &str) -> Option<Vec<u8>> {
    property(stored, name)
        .dyn_ref::<Uint8Array>()
        .map(Uint8Array::to_vec)
}
