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
mod frame;
mod handshake;
mod stream;
