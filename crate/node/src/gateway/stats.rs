//! What a gateway counts.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use pico_network::{Multiaddr, PeerId, Services, Traffic};

use super::types;

/// What a gateway has done and has at the moment.
#[derive(Clone, Debug, Default)]
pub struct GatewayStats {
    /// Time since the start.
    pub uptime: Duration,
    /// Whether an upstream is connected that offers what clients need.
    pub serving: bool,
    /// The upstreams, in the order of the configuration.
    pub upstreams: Vec<UpstreamStats>,
    /// Clients.
    pub clients: ClientStats,
    /// Requests by the number of their type.
    pub requests: BTreeMap<u16, RequestStats>,
    /// Requests that wait for their turn.
    pub queued: u64,
    /// Requests under way to upstreams.
    pub in_flight: u64,
    /// Answers that are kept.
    pub cache_entries: u64,
    /// Bytes of them.
    pub cache_bytes: u64,
    /// Gossip.
    pub gossip: GossipStats,
    /// Address notifications.
    pub notifications: NotificationStats,
    /// Bytes on the wire.
    pub traffic: Traffic,
    /// Number of the block whose proof is served, if one is.
    pub proof: Option<u32>,
}

/// One upstream.
#[derive(Clone, Debug)]
pub struct UpstreamStats {
    /// Where it is dialled.
    pub address: Multiaddr,
    /// Who it is, once that is known.
    pub peer: Option<PeerId>,
    /// Whether it is connected.
    pub connected: bool,
    /// Whether it says something else of the chain than most of the others, and so is left alone.
    pub suspect: bool,
    /// What it offers; nothing while it isn't connected.
    pub services: Services,
    /// Dials that failed, and connections that broke.
    pub failures: u64,
    /// Requests it was sent.
    pub requests: u64,
    /// Requests it didn't answer as it should, those that timed out among them.
    pub errors: u64,
    /// Requests that timed out.
    pub timeouts: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Round trip of the last ping.
    pub rtt: Option<Duration>,
}

/// Clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientStats {
    /// Connected over WebSocket.
    pub websocket: u64,
    /// Connected over WebRTC.
    pub webrtc: u64,
    /// Those who came since the start.
    pub joined: u64,
    /// Those who were banned for breaking the rules.
    pub dropped: u64,
}

/// Requests of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestStats {
    /// Those that came and were within the limit.
    pub received: u64,
    /// Sent to upstreams; more than once if one didn't answer.
    pub relayed: u64,
    /// Answered with the answer to the same question that somebody else had asked already.
    pub coalesced: u64,
    /// Answered with an answer that was kept.
    pub cached: u64,
    /// Answered with what an upstream said, also if that was no.
    pub answered: u64,
    /// Refused because nobody can answer them or too many wait.
    pub refused: u64,
    /// Refused because their sender went over its limit.
    pub rate_limited: u64,
    /// Not answered by any upstream in time.
    pub failed: u64,
}

/// Gossip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GossipStats {
    /// Block headers handed on.
    pub headers: u64,
    /// Transactions handed on.
    pub transactions: u64,
    /// Messages that were wrong.
    pub rejected: u64,
}

/// Address notifications.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotificationStats {
    /// Clients that want some.
    pub clients: u64,
    /// Addresses they are about.
    pub addresses: u64,
    /// Those that were sent.
    pub sent: u64,
}

/// A number that only some task changes.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn increment(&self) {
        self.add(1);
    }

    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: usize) {
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted of one type of requests.
#[derive(Debug, Default)]
pub(super) struct RequestCounters {
    pub(super) received: Counter,
    pub(super) relayed: Counter,
    pub(super) coalesced: Counter,
    pub(super) cached: Counter,
    pub(super) answered: Counter,
    pub(super) refused: Counter,
    pub(super) failed: Counter,
}

/// What the tasks of a gateway count.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: [RequestCounters; types::COUNT],
    pub(super) queued: Counter,
    pub(super) in_flight: Counter,
    pub(super) cache_entries: Counter,
    pub(super) cache_bytes: Counter,
    pub(super) joined: Counter,
    pub(super) headers: Counter,
    pub(super) transactions: Counter,
    pub(super) rejected: Counter,
    pub(super) notified_clients: Counter,
    pub(super) notified_addresses: Counter,
    pub(super) notifications: Counter,
    /// Number of the block whose proof is served; 0 for none.
    pub(super) proof: Counter,
}

impl Counters {
    pub(super) fn request(&self, index: usize) -> RequestStats {
        let Some(counters) = self.requests.get(index) else {
            return RequestStats::default();
        };
        RequestStats {
            received: counters.received.get(),
            relayed: counters.relayed.get(),
            coalesced: counters.coalesced.get(),
            cached: counters.cached.get(),
            answered: counters.answered.get(),
            refused: counters.refused.get(),
            rate_limited: 0,
            failed: counters.failed.get(),
        }
    }
}
