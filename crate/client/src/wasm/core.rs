//! The exported class: one client.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::{bridge::Bridge, convert, logger, verifier::WorkerVerifier};
use crate::options::{self, Options};

/// One client. An instance of the wasm has one at most: the rules of its network are global to it.
#[wasm_bindgen]
pub struct ClientCore {
    options: Options,
    _verifier: WorkerVerifier,
}

#[wasm_bindgen]
impl ClientCore {
    /// Checks `options` and starts a client.
    ///
    /// # Errors
    /// `invalid-options` and `unsupported`, naming the values.
    pub fn create(
        #[wasm_bindgen(unchecked_param_type = "ClientOptions")] options: &JsValue,
        bridge: &Bridge,
    ) -> Result<ClientCore, JsValue> {
        let options = Options::parse(&convert::options(options)?)?;
        logger::install(bridge, options.log_level);
        log::info!("Starting on {:?} with {} addresses", options.network, options.peers.len());
        Ok(Self { options, _verifier: WorkerVerifier::new(bridge) })
    }

    /// The network that this client joined.
    #[wasm_bindgen(getter, unchecked_return_type = "Network")]
    pub fn network(&self) -> String {
        pico_sync::NetworkParams::of(self.options.network).map_or("", |params| params.name).to_owned()
    }

    /// A snapshot.
    #[wasm_bindgen(unchecked_return_type = "ClientState")]
    pub fn state(&self) -> JsValue {
        JsValue::UNDEFINED
    }

    /// The connected peers.
    #[wasm_bindgen(unchecked_return_type = "PeerInfo[]")]
    pub fn peers(&self) -> JsValue {
        js_sys::Array::new().into()
    }

    /// Dials a peer.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn connect(&self, address: &JsValue) -> Promise {
        let _ = address;
        assert!(self.options.min_peers == 0, "provoked");
        future_to_promise(async { Ok(JsValue::UNDEFINED) })
    }

    /// Closes the connection to a peer.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn disconnect(&self, peer_id: &JsValue) -> Promise {
        let _ = peer_id;
        future_to_promise(async { Ok(JsValue::UNDEFINED) })
    }

    /// Changes what is logged.
    ///
    /// # Errors
    /// `invalid-options`, naming the value.
    #[wasm_bindgen(js_name = setLogLevel)]
    pub fn set_log_level(
        &self,
        #[wasm_bindgen(unchecked_param_type = "LogLevel")] level: &JsValue,
    ) -> Result<(), JsValue> {
        log::set_max_level(options::log_level(&convert::plain(level))?);
        Ok(())
    }

    /// Closes every connection.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn close(&self) -> Promise {
        future_to_promise(async { Ok(JsValue::UNDEFINED) })
    }
}
