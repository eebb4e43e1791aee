//! The nodes that are relayed to: dialled, watched, dialled again.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use nimiq_network_interface::network::{Network as _, NetworkEvent};
use parking_lot::Mutex;
use pico_network::{Multiaddr, Network, PeerId, PeerStatus, Services};
use rand::RngExt;
use tokio::sync::watch;

use super::{heads::Suspects, limits, stats::UpstreamStats, without_peer};

/// What was counted of the requests to one peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) timeouts: u64,
    pub(super) in_flight: u64,
    pub(super) suspect: bool,
}

#[derive(Debug)]
struct Entry {
    address: Multiaddr,
    peer: Option<PeerId>,
    failures: u64,
}

impl Entry {
    /// Its connection. By the address too, for a peer has joined a moment before its dial returns; but
    /// not only, for the same node may be reached at the address of another entry.
    fn find<'a>(&self, peers: &'a [PeerStatus]) -> Option<&'a PeerStatus> {
        let known = |status: &&PeerStatus| Some(status.peer_id) == self.peer;
        let address = without_peer(&self.address);
        let there = |status: &&PeerStatus| status.dialled && status.address == address;
        peers
            .iter()
            .find(known)
            .or_else(|| peers.iter().find(there))
    }
}

/// What is known of the upstreams.
#[derive(Debug)]
pub(super) struct Upstreams {
    entries: Mutex<Vec<Entry>>,
    tallies: Mutex<HashMap<PeerId, Tally>>,
    /// Whether one of them is connected that offers what clients need.
    pub(super) serving: watch::Sender<bool>,
    /// Those that are.
    pub(super) connected: watch::Sender<Vec<PeerId>>,
    /// Those of them that are not to be believed.
    pub(super) suspects: watch::Sender<Suspects>,
}

impl Upstreams {
    pub(super) fn new(addresses: &[Multiaddr]) -> Self {
        let entry = |address: &Multiaddr| Entry {
            address: address.clone(),
            peer: None,
            failures: 0,
        };
        Self {
            entries: Mutex::new(addresses.iter().map(entry).collect()),
            tallies: Mutex::default(),
            serving: watch::Sender::new(false),
            connected: watch::Sender::default(),
            suspects: watch::Sender::default(),
        }
    }

    /// Takes in what was counted of the requests to a peer.
    pub(super) fn report(&self, peer: PeerId, tally: Tally) {
        let mut tallies = self.tallies.lock();
        if tallies.len() < limits::KNOWN_UPSTREAMS || tallies.contains_key(&peer) {
            tallies.insert(peer, tally);
        }
    }

    /// What is known of each, where these peers are connected.
    pub(super) fn stats(&self, peers: &[PeerStatus]) -> Vec<UpstreamStats> {
        let tallies = self.tallies.lock();
        let stats = |entry: &Entry| {
            let status = entry.find(peers);
            let peer = status.map(|status| status.peer_id).or(entry.peer);
            let tally = peer.and_then(|peer| tallies.get(&peer).copied());
            let tally = tally.unwrap_or_default();
            UpstreamStats {
                address: entry.address.clone(),
                peer,
                connected: status.is_some(),
                suspect: tally.suspect,
                services: status.map_or(Services::empty(), |status| status.services),
                failures: entry.failures,
                requests: tally.requests,
                errors: tally.errors,
                timeouts: tally.timeouts,
                in_flight: tally.in_flight,
                rtt: status.and_then(|status| status.rtt),
            }
        };
        self.entries.lock().iter().map(stats).collect()
    }

    fn found(&self, index: usize, peer: PeerId) {
        if let Some(entry) = self.entries.lock().get_mut(index) {
            entry.peer = Some(peer);
        }
    }

    fn failed(&self, index: usize) {
        if let Some(entry) = self.entries.lock().get_mut(index) {
            entry.failures += 1;
        }
    }
}

/// The pause before the next dial, after so many failures in a row; `jitter` is between 0 and 1.
fn pause(failures: u32, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = limits::REDIAL_FIRST
        .saturating_mul(1 << doublings)
        .min(limits::REDIAL_MAX);
    pause.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0)
}

/// Keeps one upstream connected, until the network is closed.
pub(super) async fn hold(
    network: Arc<Network>,
    upstreams: Arc<Upstreams>,
    index: usize,
    address: Multiaddr,
) {
    let mut failures = 0;
    while !network.is_closed() {
        match network.dial(address.clone()).await {
            Ok(peer) => {
                log::info!("upstream {address} is connected");
                upstreams.found(index, peer);
                let since = Instant::now();
                until_gone(&network, peer).await;
                if since.elapsed() >= limits::GOOD_CONNECTION {
                    failures = 0;
                }
                log::warn!("upstream {address} is gone");
            }
            Err(error) => log::warn!("upstream {address} can't be reached: {error}"),
        }
        if network.is_closed() {
            return;
        }
        upstreams.failed(index);
        failures += 1;
        let pause = pause(failures, rand::rng().random());
        rest(&upstreams, pause).await;
    }
}

/// Waits for the pause to be over; not for long while there is no upstream at all.
async fn rest(upstreams: &Upstreams, pause: Duration) {
    let mut serving = upstreams.serving.subscribe();
    let alone = async {
        // An error would mean that nobody asks any more.
        drop(serving.wait_for(|serving| !*serving).await);
        tokio::time::sleep(pause.min(limits::REDIAL_ALONE)).await;
    };
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = alone => {}
    }
}

async fn until_gone(network: &Network, peer: PeerId) {
    let mut events = network.subscribe_events();
    // An event can be missed, and an end can come before the subscription.
    let mut check = tokio::time::interval(limits::UPSTREAM_CHECK);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(NetworkEvent::PeerLeft(gone))) if gone == peer => return,
                Some(_) => {}
                None => return,
            },
            _ = check.tick() => if !network.has_peer(peer) {
                return;
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nimiq_network_interface::Protocol;
    use pico_network::Transport;

    fn connected(address: &Multiaddr) -> PeerStatus {
        PeerStatus {
            peer_id: PeerId::random(),
            address: address.clone(),
            transport: Transport::WebSocket,
            dialled: true,
            rtt: None,
            services: Services::ACCOUNTS_PROOF,
            told: Services::empty(),
        }
    }

    #[test]
    fn who_has_joined_counts_before_its_dial_returns_and_at_whatever_address() {
        let addresses: Vec<Multiaddr> =
            ["/dns4/one.example/tcp/8443/ws", "/ip4/192.0.2.7/tcp/1/ws"]
                .map(|address| address.parse().unwrap())
                .into();
        let named = addresses[1].clone().with(Protocol::P2p(PeerId::random()));
        let upstreams = Upstreams::new(&[addresses[0].clone(), named]);
        let shown = |peers: &[PeerStatus]| -> Vec<(bool, Option<PeerId>)> {
            let stats = upstreams.stats(peers);
            stats.iter().map(|one| (one.connected, one.peer)).collect()
        };
        assert_eq!(shown(&[]), [(false, None); 2]);

        let [one, other] = [0, 1].map(|index| connected(&addresses[index]));
        let both = [one.clone(), other.clone()];
        let expected = [(true, Some(one.peer_id)), (true, Some(other.peer_id))];
        assert_eq!(shown(&both), expected);
        // A client that comes from there is none of them.
        let mut client = other;
        client.dialled = false;
        assert_eq!(shown(&[client]), [(false, None); 2]);

        // Both addresses are those of one node.
        upstreams.found(0, one.peer_id);
        upstreams.found(1, one.peer_id);
        assert_eq!(shown(&both[..1]), [(true, Some(one.peer_id)); 2]);
        // Gone, and back with another identity.
        assert_eq!(shown(&[]), [(false, Some(one.peer_id)); 2]);
        let again = connected(&addresses[0]);
        let expected = [(true, Some(again.peer_id)), (false, Some(one.peer_id))];
        assert_eq!(shown(&[again]), expected);
    }

    #[test]
    fn pauses_grow_and_end_somewhere() {
        assert!(pause(1, 0.0) < limits::REDIAL_FIRST && pause(1, 1.0) > limits::REDIAL_FIRST);
        for failures in 1..100 {
            assert!(pause(failures + 1, 0.5) >= pause(failures, 0.5));
            assert!(pause(failures, 1.0) <= limits::REDIAL_MAX.mul_f64(1.25));
        }
    }
}
