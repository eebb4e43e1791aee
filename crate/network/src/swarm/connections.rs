//! Connections: dialled, accepted, counted as peers, lost; and the pool that keeps their number.

use std::collections::HashSet;

use libp2p::{
    Multiaddr, PeerId,
    core::ConnectedPoint,
    multiaddr::Protocol,
    swarm::{ConnectionId, DialError as SwarmDialError, dial_opts::DialOpts},
};
use nimiq_network_interface::{
    network::{CloseReason, NetworkEvent},
    peer_info::{PeerInfo, Services},
};
use nimiq_time::sleep;
use web_time::Instant;

use super::Task;
use crate::{
    address,
    command::{Mode, Reply, answer},
    error::{DialError, LeaveReason},
    gate::Banned,
    handle::NetworkNotice,
    limits,
    peers::{PeerStatus, Transport},
    pool::{Candidate, View},
    transport,
};

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    peer: PeerId,
    address: Multiaddr,
    dialled: bool,
    since: Instant,
}

/// Somebody we have connections with.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// All connections, and those of them whose handshake is done.
    connections: HashSet<ConnectionId>,
    established: HashSet<ConnectionId>,
    /// Why it is being disconnected.
    reason: Option<LeaveReason>,
    /// Malformed gossip messages so far.
    pub(super) strikes: u32,
}

/// A dial, until it has led to a peer or failed.
#[derive(Debug)]
pub(super) struct Dial {
    address: Multiaddr,
    since: Instant,
    waiters: Vec<Reply<Result<PeerId, DialError>>>,
}

impl Task {
    /// Changes what the network as a whole does.
    pub(super) fn enter(&mut self, mode: Mode) {
        self.state.mode = mode;
        match mode {
            Mode::Connecting => {
                self.state.pool.forget_failures();
                // Begun before the page slept, such a dial may hang for long. It can still succeed.
                self.state.dials.retain(|_, dial| {
                    !dial.waiters.is_empty() || dial.since.elapsed() < limits::STALE_DIAL
                });
                self.wake_pool();
            }
            Mode::Offline | Mode::Closed => {
                self.state.pool_timer = None;
                for (_, dial) in self.state.dials.drain() {
                    for waiter in dial.waiters {
                        answer(waiter, Err(DialError::Offline));
                    }
                }
                let peers: Vec<PeerId> = self.state.peers.keys().copied().collect();
                for peer in peers {
                    self.drop_peer(peer, LeaveReason::GoingOffline);
                }
            }
            Mode::Idle => {}
        }
    }

    // --- Dialling ---------------------------------------------------------------------------------

    pub(super) fn dial_address(
        &mut self,
        address: Multiaddr,
        reply: Reply<Result<PeerId, DialError>>,
    ) {
        let candidate = Candidate::new(&address);
        if let Some(peer) = self.connected_at(&candidate) {
            return answer(reply, Ok(peer));
        }
        self.start_dial(candidate, Some(reply));
    }

    pub(super) fn dial_peer(&mut self, peer: PeerId, reply: Reply<Result<PeerId, DialError>>) {
        if self.hub.peers.contains(&peer) {
            return answer(reply, Ok(peer));
        }
        let address = self.shared.book.lock().address_of(&peer);
        match address {
            Some(address) => {
                let address = address::without_peer_id(&address);
                self.start_dial(
                    Candidate {
                        peer: Some(peer),
                        address,
                    },
                    Some(reply),
                );
            }
            None => answer(reply, Err(DialError::UnknownPeer(peer))),
        }
    }

    /// Dials some peers of the contact book that offer these services.
    pub(super) fn dial_by_services(&mut self, services: Services, count: usize) {
        let candidates = self.contacts(services);
        let mut left = count.min(limits::MAX_POOL_DIALS);
        for candidate in candidates {
            if left == 0 {
                break;
            }
            if self.connected_at(&candidate).is_none() && !self.is_dialling(&candidate.address) {
                left -= 1;
                self.start_dial(candidate, None);
            }
        }
    }

    fn contacts(&self, services: Services) -> Vec<Candidate> {
        let contacts = self.shared.book.lock().dialable(services);
        contacts
            .into_iter()
            .map(|(peer, address)| Candidate {
                peer: Some(peer),
                address: address::without_peer_id(&address),
            })
            .collect()
    }

    fn connected_at(&self, candidate: &Candidate) -> Option<PeerId> {
        if let Some(peer) = candidate.peer {
            return self.hub.peers.contains(&peer).then_some(peer);
        }
        let mut connections = self.state.connections.values();
        connections
            .find(|connection| connection.dialled && connection.address == candidate.address)
            .map(|connection| connection.peer)
            .filter(|peer| self.hub.peers.contains(peer))
    }

    fn is_dialling(&self, address: &Multiaddr) -> bool {
        self.state
            .dials
            .values()
            .any(|dial| dial.address == *address)
    }

    fn start_dial(
        &mut self,
        candidate: Candidate,
        reply: Option<Reply<Result<PeerId, DialError>>>,
    ) {
        let Candidate { peer, address } = candidate;
        let error = if self.state.mode == Mode::Offline {
            DialError::Offline
        } else if !address::transport_of(&address).is_some_and(transport::can_dial) {
            DialError::Unsupported(address.clone())
        } else if self.secure_only && !address::is_secure(&address) {
            DialError::Insecure(address.clone())
        } else {
            // Somebody dials there already: wait with them.
            if let Some(dial) = self
                .state
                .dials
                .values_mut()
                .find(|dial| dial.address == address)
            {
                dial.waiters.extend(reply);
                return;
            }
            let target = match peer {
                Some(peer) => address.clone().with(Protocol::P2p(peer)),
                None => address.clone(),
            };
            let opts = DialOpts::unknown_peer_id().address(target).build();
            let id = opts.connection_id();
            let waiters = reply.into_iter().collect();
            let dial = Dial {
                address,
                since: Instant::now(),
                waiters,
            };
            self.state.dials.insert(id, dial);
            if let Err(error) = self.swarm.dial(opts) {
                self.on_dial_failed(id, &error);
            }
            return;
        };
        self.hub
            .notify(NetworkNotice::dial_failed(address, error.clone()));
        if let Some(reply) = reply {
            answer(reply, Err(error));
        }
    }

    pub(super) fn on_dial_failed(&mut self, id: ConnectionId, error: &SwarmDialError) {
        self.end_dial(id, dial_error(error));
    }

    fn end_dial(&mut self, id: ConnectionId, error: DialError) {
        let Some(dial) = self.state.dials.remove(&id) else {
            return;
        };
        log::debug!("dial of {} failed: {error}", dial.address);
        if !matches!(error, DialError::Lost(LeaveReason::GoingOffline)) {
            self.shared.good.lock().failed(&dial.address);
        }
        self.state
            .pool
            .failed(&dial.address, Instant::now(), &mut rand::rng());
        for waiter in dial.waiters {
            answer(waiter, Err(error.clone()));
        }
        self.hub
            .notify(NetworkNotice::dial_failed(dial.address, error));
        self.wake_pool();
    }

    // --- Coming and going -------------------------------------------------------------------------

    pub(super) fn on_connected(&mut self, peer: PeerId, id: ConnectionId, at: &ConnectedPoint) {
        let connection = Connection {
            peer,
            address: address::without_peer_id(at.get_remote_address()),
            dialled: at.is_dialer(),
            since: Instant::now(),
        };
        self.state.connections.insert(id, connection);
        self.state
            .peers
            .entry(peer)
            .or_default()
            .connections
            .insert(id);
        if self.state.mode == Mode::Offline {
            self.drop_peer(peer, LeaveReason::GoingOffline);
        }
    }

    /// The handshake on a connection is done: now it is a peer.
    pub(super) fn on_established(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        address: Multiaddr,
        services: Services,
    ) {
        let Some(state) = self.state.peers.get_mut(&peer) else {
            return;
        };
        // On its way out already.
        if state.reason.is_some() || !state.connections.contains(&id) {
            return;
        }
        let first = state.established.is_empty();
        state.established.insert(id);
        if first {
            let required = self.shared.required_services;
            let useless = self.hub.peers.len() - self.hub.peers.with_services(required).len();
            if !services.contains(required) && useless >= limits::MAX_USELESS_PEERS {
                return self.drop_peer(peer, LeaveReason::Surplus);
            }
            let address = address::without_peer_id(&address);
            let connection = self.state.connections.get(&id);
            let dialled = connection.is_some_and(|connection| connection.dialled);
            let transport = address::transport_of(&address).unwrap_or(Transport::WebSocket);
            let status = PeerStatus {
                peer_id: peer,
                address,
                transport,
                dialled,
                rtt: None,
                services,
            };
            self.hub.peers.insert(status.clone());
            let info = PeerInfo::new(status.address.clone(), services);
            self.hub.emit(NetworkEvent::PeerJoined(peer, info));
            self.hub.notify(NetworkNotice::PeerJoined {
                peer_id: peer,
                address: status.address,
                transport,
                services,
            });
        }
        if let Some(dial) = self.state.dials.remove(&id) {
            for waiter in dial.waiters {
                answer(waiter, Ok(peer));
            }
        }
        self.wake_pool();
    }

    pub(super) fn on_disconnected(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        cause: Option<String>,
    ) {
        let Some(connection) = self.state.connections.remove(&id) else {
            return;
        };
        let Some(state) = self.state.peers.get_mut(&peer) else {
            return;
        };
        state.connections.remove(&id);
        let was_peer = state.established.remove(&id);
        let is_peer = !state.established.is_empty();
        let reason = state.reason.clone().unwrap_or(LeaveReason::Closed(cause));
        if state.connections.is_empty() {
            self.state.peers.remove(&peer);
        }
        log::debug!("connection with {peer} closed: {reason}");
        self.end_dial(id, DialError::Lost(reason.clone()));
        if was_peer && connection.dialled {
            if is_good(&reason) {
                let seen = self.shared.clock.network_secs();
                let mut good = self.shared.good.lock();
                good.seen(peer, &connection.address, seen);
            }
            let (now, since) = (Instant::now(), connection.since);
            let held = now.duration_since(since);
            let pool = &mut self.state.pool;
            pool.left(&connection.address, held, now, &mut rand::rng());
            if matches!(reason, LeaveReason::Requested | LeaveReason::Surplus) {
                pool.rest(&connection.address, now);
            }
        }
        if was_peer && !is_peer && self.hub.peers.remove(&peer).is_some() {
            self.hub.emit(NetworkEvent::PeerLeft(peer));
            self.hub.notify(NetworkNotice::peer_left(peer, reason));
        }
        self.wake_pool();
    }

    /// Closes all connections with a peer, for this reason.
    pub(super) fn drop_peer(&mut self, peer: PeerId, reason: LeaveReason) {
        self.note_reason(peer, reason);
        if self.swarm.disconnect_peer_id(peer).is_err() {
            log::trace!("{peer} is not connected any more");
        }
    }

    /// Remembers why a peer is being disconnected; the first reason is the one that counts. Bans it
    /// if the reason is malice.
    pub(super) fn note_reason(&mut self, peer: PeerId, reason: LeaveReason) {
        if reason.is_malicious() {
            let dialled = self.state.connections.values();
            let dialled = dialled
                .filter(|connection| connection.peer == peer && connection.dialled)
                .map(|connection| connection.address.clone())
                .next();
            let bans = &mut self.swarm.behaviour_mut().gate.bans;
            bans.ban(peer, dialled.as_ref(), Instant::now());
            self.shared.book.lock().remove(&peer);
            self.shared.good.lock().remove(&peer);
        }
        if let Some(state) = self.state.peers.get_mut(&peer) {
            state.reason.get_or_insert(reason);
        }
    }

    pub(super) fn disconnect(&mut self, peer: PeerId, reason: CloseReason) {
        let reason = match reason {
            CloseReason::MaliciousPeer => LeaveReason::Banned,
            CloseReason::GoingOffline => LeaveReason::GoingOffline,
            CloseReason::RemoteClosed => LeaveReason::Closed(None),
            CloseReason::Other => LeaveReason::Requested,
            CloseReason::Error => LeaveReason::Failed,
        };
        self.drop_peer(peer, reason);
    }

    // --- The pool ---------------------------------------------------------------------------------

    /// Has the pool look at the connections soon.
    pub(super) fn wake_pool(&mut self) {
        if self.state.mode != Mode::Connecting {
            return;
        }
        let rested = self
            .state
            .pool_looked_at
            .map_or(limits::POOL_MIN_PAUSE, |at| at.elapsed());
        let pause = limits::POOL_MIN_PAUSE.saturating_sub(rested);
        self.state.pool_timer = Some(Box::pin(sleep(pause)));
    }

    /// Dials what is missing.
    pub(super) fn tend_pool(&mut self) {
        if self.state.mode != Mode::Connecting {
            return;
        }
        let now = Instant::now();
        self.state.pool_looked_at = Some(now);
        let required = self.shared.required_services;
        let view = View {
            useful: self.hub.peers.with_services(required).len(),
            dialling: self.state.dials.len(),
            peers: self.state.peers.keys().copied().collect(),
            addresses: self
                .state
                .connections
                .values()
                .map(|connection| &connection.address)
                .chain(self.state.dials.values().map(|dial| &dial.address))
                .cloned()
                .collect(),
        };
        let contacts = self.contacts(required);
        let seen = self.shared.clock.network_secs();
        let good = self.shared.good.lock().candidates(seen);
        let bans = &self.swarm.behaviour().gate.bans;
        let banned = |candidate: &Candidate| {
            candidate
                .peer
                .is_some_and(|peer| bans.is_peer_banned(&peer, now))
                || bans.is_address_banned(&candidate.address, now)
        };
        let plan = self
            .state
            .pool
            .plan(&view, good, contacts, banned, now, &mut rand::rng());
        let pause = plan
            .again_at
            .map_or(limits::POOL_INTERVAL, |at| {
                at.saturating_duration_since(now)
            })
            .clamp(limits::POOL_MIN_PAUSE, limits::POOL_INTERVAL);
        // Set before dialling, because a dial that fails at once sets it to sooner.
        self.state.pool_timer = Some(Box::pin(sleep(pause)));
        for candidate in plan.dial {
            self.start_dial(candidate, None);
        }
    }
}

/// Whether a peer that left for this reason is one to go back to.
fn is_good(reason: &LeaveReason) -> bool {
    matches!(
        reason,
        LeaveReason::Closed(_) | LeaveReason::GoingOffline | LeaveReason::Ping(_)
    )
}

fn dial_error(error: &SwarmDialError) -> DialError {
    match error {
        // Of the addresses given, libp2p leaves out those we listen on ourselves.
        SwarmDialError::LocalPeerId { .. } | SwarmDialError::NoAddresses => DialError::Own,
        SwarmDialError::WrongPeerId { obtained, .. } => DialError::WrongPeer(*obtained),
        SwarmDialError::Denied { cause } => {
            if cause.downcast_ref::<Banned>().is_some() {
                DialError::Banned
            } else {
                DialError::Limit
            }
        }
        SwarmDialError::Transport(errors) => {
            let reasons: Vec<String> = errors.iter().map(|(_, error)| cause_chain(error)).collect();
            DialError::Transport(reasons.join("; "))
        }
        SwarmDialError::DialPeerConditionFalse(_) | SwarmDialError::Aborted => {
            DialError::Transport(error.to_string())
        }
    }
}

/// An error and what caused it: libp2p's outermost texts alone say little.
fn cause_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}
