//! The few parts of the page's WebRTC API that are used. Written out, because in `web-sys` some of them
//! can't be told to catch what the browser throws, and that would end the whole client.

use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// A `RTCPeerConnection`.
    pub(super) type PeerConnection;

    #[wasm_bindgen(constructor, catch, js_class = "RTCPeerConnection")]
    pub(super) fn new() -> Result<PeerConnection, JsValue>;

    #[wasm_bindgen(method, catch, js_name = createDataChannel)]
    pub(super) fn create_data_channel(
        this: &PeerConnection,
        label: &str,
        options: &JsValue,
    ) -> Result<RawChannel, JsValue>;

    #[wasm_bindgen(method, catch, js_name = createOffer)]
    pub(super) fn create_offer(this: &PeerConnection) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch, js_name = setLocalDescription)]
    pub(super) fn set_local_description(
        this: &PeerConnection,
        description: &JsValue,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch, js_name = setRemoteDescription)]
    pub(super) fn set_remote_description(
        this: &PeerConnection,
        description: &JsValue,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, getter, js_name = iceConnectionState)]
    pub(super) fn ice_connection_state(this: &PeerConnection) -> String;

    #[wasm_bindgen(method, getter, js_name = connectionState)]
    pub(super) fn connection_state(this: &PeerConnection) -> String;

    #[wasm_bindgen(method)]
    pub(super) fn close(this: &PeerConnection);

    /// A `RTCDataChannel`.
    pub(super) type RawChannel;

    #[wasm_bindgen(method, getter, js_name = readyState)]
    pub(super) fn ready_state(this: &RawChannel) -> String;

    #[wasm_bindgen(method, getter, js_name = bufferedAmount)]
    pub(super) fn buffered_amount(this: &RawChannel) -> f64;

    #[wasm_bindgen(method, catch)]
    pub(super) fn send(this: &RawChannel, message: &[u8]) -> Result<(), JsValue>;

    #[wasm_bindgen(method, js_name = close)]
    pub(super) fn close_channel(this: &RawChannel);

    /// Any event of the two.
    pub(super) type Event;

    /// Its name.
    #[wasm_bindgen(method, getter, js_name = type)]
    pub(super) fn kind(this: &Event) -> String;

    /// Of a message.
    #[wasm_bindgen(method, getter)]
    pub(super) fn data(this: &Event) -> JsValue;

    /// Of the news that the other side has opened a channel.
    #[wasm_bindgen(method, getter)]
    pub(super) fn channel(this: &Event) -> Option<RawChannel>;

    /// Of an event of the connection.
    #[wasm_bindgen(method, getter)]
    pub(super) fn target(this: &Event) -> Option<PeerConnection>;
}

/// Sets properties of an object. None of those that are set here can refuse it.
pub(super) fn set(object: &JsValue, properties: &[(&str, &JsValue)]) {
    for (name, value) in properties {
        drop(Reflect::set(object, &JsValue::from_str(name), value));
    }
}

/// A session description.
pub(super) fn description(kind: &str, sdp: &str) -> JsValue {
    let object = Object::new();
    let (kind, sdp) = (JsValue::from_str(kind), JsValue::from_str(sdp));
    set(&object, &[("type", &kind), ("sdp", &sdp)]);
    object.into()
}

/// Whether there is WebRTC here.
pub(super) fn exists() -> bool {
    let global = js_sys::global();
    Reflect::get(&global, &JsValue::from_str("RTCPeerConnection"))
        .is_ok_and(|constructor| constructor.is_function())
}

/// What an error of the browser says.
pub(super) fn message(error: &JsValue) -> String {
    let message = Reflect::get(error, &JsValue::from_str("message"));
    let message = message.ok().and_then(|message| message.as_string());
    message.unwrap_or_else(|| "it does not say why".to_owned())
}

/// Options of the channel of the handshake.
pub(super) fn negotiated(id: u16) -> JsValue {
    let options = Object::new();
    let id = JsValue::from_f64(f64::from(id));
    set(&options, &[("negotiated", &JsValue::TRUE), ("id", &id)]);
    options.into()
}
