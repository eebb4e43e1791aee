//! The protocols of the swarm, put together.

use std::{iter, sync::Arc};

use libp2p::{
    PeerId, StreamProtocol,
    connection_limits::{self, ConnectionLimits},
    ping,
    request_response::{self, ProtocolSupport},
    swarm::NetworkBehaviour,
};

use crate::{
    capacity::Capacity,
    discovery::{self, behaviour::Shared, contact::SignedPeerContact},
    gate, gossip, limits,
    reqres::codec::{Budget, Codec},
};

/// All protocols. The order matters: those that can refuse a connection come first, because the
/// others don't expect that a connection they have agreed to is refused after all.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) gate: gate::Behaviour,
    limits: connection_limits::Behaviour,
    pub(crate) discovery: discovery::behaviour::Behaviour,
    pub(crate) gossip: gossip::behaviour::Behaviour,
    ping: ping::Behaviour,
    pub(crate) requests: request_response::Behaviour<Codec>,
}

impl Behaviour {
    pub(crate) fn new(
        peer_id: PeerId,
        shared: Arc<Shared>,
        kept: Vec<SignedPeerContact>,
        max_connections: u32,
        capacity: &Capacity,
    ) -> Self {
        let connection_limits = ConnectionLimits::default()
            .with_max_pending_incoming(Some(
                capacity
                    .pending_incoming
                    .saturating_add(limits::PENDING_INCOMING_SLACK),
            ))
            .with_max_pending_outgoing(Some(limits::MAX_PENDING_OUTGOING))
            .with_max_established_incoming(Some(max_connections))
            .with_max_established_outgoing(Some(max_connections))
            .with_max_established_per_peer(Some(limits::MAX_CONNECTIONS_PER_PEER));
        let ping = ping::Config::new()
            .with_interval(limits::PING_INTERVAL)
            .with_timeout(limits::PING_TIMEOUT);
        let requests = request_response::Behaviour::with_codec(
            Codec::new(Budget::new(capacity.response_memory)),
            iter::once((
                StreamProtocol::new(limits::REQUEST_PROTOCOL),
                ProtocolSupport::Full,
            )),
            request_response::Config::default()
                .with_request_timeout(limits::REQUEST_TIMEOUT)
                .with_max_concurrent_streams(limits::MAX_REQUEST_STREAMS),
        );
        Self {
            gate: gate::Behaviour::new(capacity.connections_per_ip),
            limits: connection_limits::Behaviour::new(connection_limits),
            discovery: discovery::behaviour::Behaviour::new(shared, kept),
            gossip: gossip::behaviour::Behaviour::new(peer_id, capacity),
            ping: ping::Behaviour::new(ping),
            requests,
        }
    }
}
