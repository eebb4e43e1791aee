//! Connections: made, counted as peers, lost; and the pool that keeps their number.

use std::{collections::HashSet, sync::atomic::Ordering};

use libp2p::{Multiaddr, PeerId, core::ConnectedPoint, swarm::ConnectionId};
use nimiq_network_interface::{
    network::{CloseReason, NetworkEvent},
    peer_info::{PeerInfo, Services},
};
use nimiq_time::sleep;
use web_time::Instant;

use super::{
    Task,
    dialling::{WaitingDial, latest_dials},
};
use crate::{
    address,
    command::{Mode, Reply, answer},
    error::{DialError, LeaveReason},
    handle::NetworkNotice,
    limits,
    peers::PeerStatus,
    pool::{Candidate, View},
};

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: PeerId,
    pub(super) address: Multiaddr,
    pub(super) dialled: bool,
    since: Instant,
    /// Why it is being closed, if not with all others of its peer.
    reason: Option<LeaveReason>,
}

/// Somebody we have connections with.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// All connections, and those of them whose handshake is done.
    connections: HashSet<ConnectionId>,
    established: HashSet<ConnectionId>,
    /// Why it is being disconnected.
    reason: Option<LeaveReason>,
    /// Who waits until it is, and dials that do.
    told_when_gone: Vec<Reply<()>>,
    again: Vec<WaitingDial>,
    /// Malformed gossip messages so far.
    pub(super) strikes: u32,
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
                let waiting = self.state.peers.values_mut();
                for dial in waiting.flat_map(|peer| peer.again.drain(..)) {
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

    // --- Coming and going -------------------------------------------------------------------------

    pub(super) fn on_connected(&mut self, peer: PeerId, id: ConnectionId, at: &ConnectedPoint) {
        let leaving = self.state.peers.get(&peer);
        if let Some(reason) = leaving.and_then(|peer| peer.reason.clone()) {
            // Its connections are being closed, and this is one more.
            self.swarm.close_connection(id);
            if self.dial_again_when_gone(peer, id) {
                return;
            }
            return self.end_dial(id, DialError::Lost(reason));
        }
        let address = address::without_peer_id(at.get_remote_address());
        if at.is_dialer() {
            self.state.pool.found(peer, &address);
            if self.is_redundant(peer, id) {
                return;
            }
        }
        let connection = Connection {
            peer,
            address,
            dialled: at.is_dialer(),
            since: Instant::now(),
            reason: None,
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

    /// Whether we have dialled this peer before, at another of its addresses, and are connected there.
    /// If so, the new connection is closed before anybody uses it, and who waits for it waits for the
    /// other one.
    fn is_redundant(&mut self, peer: PeerId, id: ConnectionId) -> bool {
        let mut connections = self.state.connections.iter();
        let first = connections.find(|(_, other)| other.peer == peer && other.dialled);
        let Some(first) = first.map(|(first, _)| *first) else {
            return false;
        };
        log::debug!("a second connection with {peer} is closed");
        self.swarm.close_connection(id);
        let waiters = self.state.dials.remove(&id).map(|dial| dial.waiters);
        let waiters = waiters.unwrap_or_default();
        if let Some(dial) = self.state.dials.get_mut(&first) {
            dial.waiters.extend(waiters);
        } else {
            let connected = self.hub.peers.contains(&peer);
            let lost = || DialError::Lost(LeaveReason::Closed(None));
            for waiter in waiters {
                answer(waiter, connected.then_some(peer).ok_or_else(lost));
            }
        }
        true
    }

    /// The handshake on a connection is done: now it is a peer.
    pub(super) fn on_established(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        address: Multiaddr,
        services: Services,
        told: Services,
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
            let is_useless = !services.contains(required);
            if is_useless && self.hub.peers.without_services(required) >= self.useless_peers {
                return self.drop_peer(peer, LeaveReason::Surplus);
            }
            let address = address::without_peer_id(&address);
            let connection = self.state.connections.get(&id);
            let dialled = connection.is_some_and(|connection| connection.dialled);
            let transport = address::transport_of_connection(&address);
            let status = PeerStatus {
                peer_id: peer,
                address,
                transport,
                dialled,
                rtt: None,
                services,
                told,
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
        let reason = state.reason.clone().or(connection.reason);
        let reason = reason.unwrap_or(LeaveReason::Closed(cause));
        let mut gone = None;
        if state.connections.is_empty() {
            gone = self.state.peers.remove(&peer);
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
                pool.rest(peer, now);
            }
        }
        if was_peer && !is_peer && self.hub.peers.remove(&peer).is_some() {
            self.hub.emit(NetworkEvent::PeerLeft(peer));
            self.hub.notify(NetworkNotice::peer_left(peer, reason));
        }
        if let Some(gone) = gone {
            for waiter in gone.told_when_gone {
                answer(waiter, ());
            }
            for dial in gone.again {
                self.start_dial(dial.candidate, dial.waiters, dial.others);
            }
        }
        self.wake_pool();
    }

    /// Whether this peer's connections are being closed.
    pub(super) fn is_leaving(&self, peer: &PeerId) -> bool {
        let state = self.state.peers.get(peer);
        state.is_some_and(|state| state.reason.is_some())
    }

    /// Has a dial wait until this peer, which is leaving, is gone.
    pub(super) fn wait_until_gone(&mut self, peer: PeerId, dial: WaitingDial) {
        if let Some(state) = self.state.peers.get_mut(&peer) {
            state.again.push(dial);
        }
    }

    /// Closes all connections with a peer, for this reason.
    pub(super) fn drop_peer(&mut self, peer: PeerId, reason: LeaveReason) {
        self.note_reason(peer, reason);
        if self.swarm.disconnect_peer_id(peer).is_err() {
            log::trace!("{peer} is not connected any more");
        }
    }

    /// Remembers why one connection is being closed.
    pub(super) fn note_reason_of(&mut self, id: ConnectionId, reason: LeaveReason) {
        if let Some(connection) = self.state.connections.get_mut(&id) {
            connection.reason.get_or_insert(reason);
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
            if state.reason.is_none() && reason.is_malicious() {
                self.hub.offenders.fetch_add(1, Ordering::Relaxed);
            }
            state.reason.get_or_insert(reason);
        }
    }

    /// Closes all connections with a peer; answers when that is done.
    pub(super) fn disconnect(&mut self, peer: PeerId, reason: CloseReason, reply: Reply<()>) {
        let reason = match reason {
            CloseReason::MaliciousPeer => LeaveReason::Banned,
            CloseReason::GoingOffline => LeaveReason::GoingOffline,
            CloseReason::RemoteClosed => LeaveReason::Closed(None),
            CloseReason::Other => LeaveReason::Requested,
            CloseReason::Error => LeaveReason::Failed,
        };
        self.drop_peer(peer, reason);
        match self.state.peers.get_mut(&peer) {
            Some(state) => state.told_when_gone.push(reply),
            None => answer(reply, ()),
        }
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
            dials: self.state.dials.values().map(|dial| dial.since).collect(),
            peers: self.state.peers.keys().copied().collect(),
            dialled: latest_dials(self.state.dials.values()),
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
            self.start_dial(candidate, Vec::new(), Vec::new());
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
