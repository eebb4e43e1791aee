//! Whether a gateway does its work, as JSON: for load balancers, and for people.

use pico_network::{Multiaddr, PeerId, service_names};
use serde::Serialize;

use super::http::Page;
use crate::gateway::GatewayStats;

/// The status of a gateway that can serve clients.
const OK: &str = "ok";

/// What there is to know of a gateway's health.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    status: &'static str,
    network: String,
    peer_id: String,
    /// Those that clients can dial.
    addresses: Vec<String>,
    uptime_seconds: u64,
    upstreams: Vec<Upstream>,
    clients: Clients,
    /// Number of the newest block that there is a proof of.
    #[serde(skip_serializing_if = "Option::is_none")]
    proven_block: Option<u32>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Upstream {
    address: String,
    connected: bool,
    /// It says something else of the chain than most others, and is left alone.
    suspect: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_id: Option<String>,
    services: Vec<&'static str>,
    failures: u64,
}

#[derive(Debug, Serialize)]
struct Clients {
    websocket: u64,
    webrtc: u64,
}

impl Health {
    /// Of a gateway that has these addresses.
    pub fn new(
        network: &str,
        peer_id: PeerId,
        addresses: &[Multiaddr],
        stats: &GatewayStats,
    ) -> Self {
        let upstreams = stats.upstreams.iter().map(|upstream| Upstream {
            address: upstream.address.to_string(),
            connected: upstream.connected,
            suspect: upstream.suspect,
            peer_id: upstream.peer.map(|peer| peer.to_string()),
            services: service_names(upstream.services),
            failures: upstream.failures,
        });
        let upstreams: Vec<Upstream> = upstreams.collect();
        let connected = upstreams.iter().any(|upstream| upstream.connected);
        Self {
            status: match (stats.serving, connected) {
                (true, _) => OK,
                (false, true) => "no upstream serves accounts",
                (false, false) => "no upstream",
            },
            network: network.to_owned(),
            peer_id: peer_id.to_string(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            uptime_seconds: stats.uptime.as_secs(),
            upstreams,
            clients: Clients {
                websocket: stats.clients.websocket,
                webrtc: stats.clients.webrtc,
            },
            proven_block: stats.proof,
        }
    }
}

/// The page: 200 if clients can be served, else 503.
pub fn health(health: &Health) -> Page {
    Page {
        status: if health.status == OK { 200 } else { 503 },
        content_type: "application/json",
        // Text and numbers always have a form in JSON.
        body: serde_json::to_string(health).unwrap_or_default() + "\n",
    }
}
