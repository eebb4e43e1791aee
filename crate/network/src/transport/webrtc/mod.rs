//! WebRTC with no signalling, `webrtc-direct` of libp2p: an address names a UDP port and the hash of a
//! certificate, and that is all a page needs to reach it. ICE finds the way (there is only one), DTLS
//! encrypts, SCTP multiplexes into data channels, and a Noise handshake on the first of them says who
//! is at the other end.
//!
//! Here is what both targets share: addresses, frames, streams and the handshake. How a data channel
//! comes to be is theirs: the page's own `RTCPeerConnection` in the browser, `str0m` natively.
//!
//! Facts of the protocol are from the specification of libp2p, `webrtc/webrtc-direct.md` and
//! `webrtc/README.md`.

mod address;
#[cfg(target_family = "wasm")]
pub(super) mod browser;
#[cfg(not(target_family = "wasm"))]
pub(crate) mod certificate;
mod frame;
mod handshake;
#[cfg(not(target_family = "wasm"))]
pub(crate) mod native;
#[cfg(any(target_family = "wasm", test))]
mod sdp;
mod stream;

/// What is said of a dial that nobody answers, or so it seems.
#[cfg(target_family = "wasm")]
const UNREACHABLE: &str = "unreachable over UDP, or the certificate there is not the one named by \
    /certhash (the gateway may have a new one)";

/// What is said when it is clear that somebody is there.
#[cfg(target_family = "wasm")]
const WRONG_CERTIFICATE: &str =
    "the certificate there is not the one named by /certhash (the gateway may have a new one)";
