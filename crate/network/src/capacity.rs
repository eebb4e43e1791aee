//! How much a network has room for. What one peer alone may take never depends on how many others
//! there are, so that none can crowd out the rest.

use std::time::Duration;

use crate::limits;

/// How much a network has room for. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Connections from others that are being opened. The oldest makes room, first of the host that
    /// opens most.
    pub pending_incoming: u32,
    /// How long a connection from another may take until it is secured and multiplexed.
    pub incoming_upgrade: Duration,
    /// Connections from one IP address. Default any number.
    pub connections_per_ip: Option<u32>,
    /// Streams of one connection whose protocol is being negotiated; more are reset.
    pub negotiating_streams: usize,
    /// Connected peers without the required services beyond which newcomers of that kind are let go.
    pub useless_peers: usize,
    /// Requests of ours under way at once; further callers wait for their turn.
    pub requests_in_flight: usize,
    /// … of them with one peer; further ones fail.
    pub requests_per_peer: usize,
    /// Requests of others that wait for our answer; further ones are refused.
    pub unanswered: usize,
    /// … of them of one peer.
    pub unanswered_per_peer: usize,
    /// Answers to us that are being received.
    pub response_memory: usize,
    /// Answers of ours that others have not read yet; further ones are left out.
    pub answer_memory: usize,
    /// … of them those for one peer.
    pub answer_memory_per_peer: usize,
    /// Counters of what peers ask for, several for each peer.
    pub rate_counters: usize,
    /// Peers of a topic's mesh below which more are added.
    pub mesh_low: usize,
    /// … up to this number.
    pub mesh_size: usize,
    /// Peers of a topic's mesh above which some are let go, and others don't get in.
    pub mesh_high: usize,
    /// Gossip that waits for one slow peer.
    pub gossip_queue: usize,
    /// Events kept for a slow subscriber before it is told that it missed some.
    pub events: usize,
}

impl Capacity {
    /// What suits a client with a handful of peers.
    pub const fn client() -> Self {
        Self {
            pending_incoming: limits::MAX_PENDING_INCOMING,
            incoming_upgrade: limits::UPGRADE_TIMEOUT,
            connections_per_ip: None,
            negotiating_streams: limits::MAX_NEGOTIATING_STREAMS,
            useless_peers: limits::MAX_USELESS_PEERS,
            requests_in_flight: limits::MAX_REQUESTS_IN_FLIGHT,
            requests_per_peer: limits::MAX_REQUESTS_PER_PEER,
            unanswered: limits::MAX_UNANSWERED_REQUESTS,
            unanswered_per_peer: limits::MAX_UNANSWERED_REQUESTS,
            response_memory: limits::MAX_RESPONSE_MEMORY,
            answer_memory: limits::MAX_ANSWER_MEMORY,
            answer_memory_per_peer: limits::MAX_ANSWER_MEMORY,
            rate_counters: limits::MAX_RATE_COUNTERS,
            mesh_low: limits::GOSSIP_MESH_LOW,
            mesh_size: limits::GOSSIP_MESH_SIZE,
            mesh_high: limits::GOSSIP_MESH_HIGH,
            gossip_queue: limits::MAX_GOSSIP_QUEUE_BYTES,
            events: limits::EVENT_QUEUE,
        }
    }

    /// What suits a server of so many clients, none of which offers anything. All of them are in the
    /// mesh of each topic.
    #[cfg(not(target_family = "wasm"))]
    pub const fn server(clients: usize) -> Self {
        // A server of few clients has no less room than a client.
        let clients = if clients < 128 { 128 } else { clients };
        Self {
            pending_incoming: limits::SERVER_PENDING_INCOMING,
            incoming_upgrade: limits::SERVER_UPGRADE_TIMEOUT,
            connections_per_ip: None,
            negotiating_streams: limits::MAX_REQUEST_STREAMS,
            useless_peers: usize::MAX,
            requests_in_flight: limits::SERVER_REQUESTS_IN_FLIGHT,
            requests_per_peer: limits::SERVER_REQUESTS_PER_PEER,
            unanswered: clients.saturating_mul(8),
            unanswered_per_peer: limits::SERVER_UNANSWERED_PER_PEER,
            response_memory: limits::SERVER_RESPONSE_MEMORY,
            answer_memory: limits::SERVER_ANSWER_MEMORY,
            answer_memory_per_peer: limits::SERVER_ANSWER_MEMORY_PER_PEER,
            rate_counters: clients.saturating_mul(limits::SERVER_RATE_COUNTERS_PER_PEER),
            mesh_low: clients,
            mesh_size: clients,
            mesh_high: clients.saturating_mul(2),
            gossip_queue: limits::SERVER_GOSSIP_QUEUE_BYTES,
            events: clients.saturating_mul(4),
        }
    }
}
