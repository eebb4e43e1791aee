//! The network layer from outside, in one binary: against the network of real nodes, against peers
//! that break every rule there is, and byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adversary_contacts;
mod adversary_discovery;
mod adversary_gossip;
mod adversary_requests;
mod adversary_transport;
mod common;
mod encoding;
mod interop;
mod mesh;
mod server;
mod transports;
mod webrtc;
