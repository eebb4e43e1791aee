//! Dials, from the wish to the connection. Whom to dial is decided elsewhere.

use std::collections::HashMap;

use libp2p::{
    Multiaddr, PeerId,
    multiaddr::Protocol,
    swarm::{ConnectionId, DialError as SwarmDialError, dial_opts::DialOpts},
};
use nimiq_network_interface::peer_info::Services;
use rand::seq::SliceRandom;
use web_time::Instant;

use super::Task;
use crate::{
    address,
    command::{Mode, Reply, answer},
    error::{DialError, LeaveReason},
    gate::Banned,
    handle::NetworkNotice,
    limits,
    pool::Candidate,
};

/// A dial, until it has led to a peer or failed.
#[derive(Debug)]
pub(super) struct Dial {
    /// Whose address it is, if known.
    peer: Option<PeerId>,
    pub(super) address: Multiaddr,
    pub(super) since: Instant,
    pub(super) waiters: Vec<Waiter>,
    /// Other addresses of the peer, for those who wait if this one fails.
    others: Vec<Multiaddr>,
}

/// A dial that waits until its peer, with whom all connections are being closed, is gone: a connection
/// made before that would be closed with the others.
#[derive(Debug)]
pub(super) struct WaitingDial {
    pub(super) candidate: Candidate,
    pub(super) waiters: Vec<Waiter>,
    /// Other addresses of the peer, for those who wait if this one fails.
    pub(super) others: Vec<Multiaddr>,
}

/// Somebody who waits for a dial.
pub(super) type Waiter = Reply<Result<PeerId, DialError>>;

impl Task {
    pub(super) fn dial_address(&mut self, address: Multiaddr, reply: Waiter) {
        let candidate = Candidate::new(&address);
        match self.connected_at(&candidate) {
            Some(peer) if !self.is_leaving(&peer) => answer(reply, Ok(peer)),
            _ => self.start_dial(candidate, vec![reply], Vec::new()),
        }
    }

    /// Dials a peer at its addresses, one after the other.
    pub(super) fn dial_peer(&mut self, peer: PeerId, reply: Waiter) {
        if self.hub.peers.contains(&peer) && !self.is_leaving(&peer) {
            return answer(reply, Ok(peer));
        }
        let mut addresses = self.shared.book.lock().addresses_of(&peer);
        addresses.shuffle(&mut rand::rng());
        self.dial_next(peer, addresses, vec![reply], DialError::UnknownPeer(peer));
    }

    /// Dials a peer at the next of its addresses; if there is none left, `error` is what came of it.
    fn dial_next(
        &mut self,
        peer: PeerId,
        mut addresses: Vec<Multiaddr>,
        waiters: Vec<Waiter>,
        error: DialError,
    ) {
        let Some(address) = addresses.pop() else {
            for waiter in waiters {
                answer(waiter, Err(error.clone()));
            }
            return;
        };
        let candidate = Candidate {
            peer: Some(peer),
            address: address::without_peer_id(&address),
        };
        self.start_dial(candidate, waiters, addresses);
    }

    /// Dials some peers of the contact book that offer these services.
    pub(super) fn dial_by_services(&mut self, services: Services, count: usize) {
        let candidates = self.contacts(services);
        let mut left = count.min(limits::MAX_POOL_DIALS);
        for candidate in candidates {
            if left == 0 {
                break;
            }
            // One address of each peer: the first makes it one that is being dialled.
            if self.connected_at(&candidate).is_none() && !self.is_dialling(&candidate) {
                left -= 1;
                self.start_dial(candidate, Vec::new(), Vec::new());
            }
        }
    }

    pub(super) fn contacts(&self, services: Services) -> Vec<Candidate> {
        let contacts = self.shared.book.lock().dialable(services);
        let candidate = |peer, address: &Multiaddr| Candidate {
            peer: Some(peer),
            address: address::without_peer_id(address),
        };
        contacts
            .iter()
            .flat_map(|(peer, addresses)| addresses.iter().map(|address| candidate(*peer, address)))
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

    /// The peer that is leaving and that this candidate is, as far as can be told before dialling.
    fn leaving_at(&self, candidate: &Candidate) -> Option<PeerId> {
        let peer = candidate.peer.or_else(|| {
            let mut connections = self.state.connections.values();
            connections
                .find(|connection| connection.dialled && connection.address == candidate.address)
                .map(|connection| connection.peer)
        });
        peer.filter(|peer| self.is_leaving(peer))
    }

    /// Has those who wait for this dial wait for one more, once its peer is gone. False if nobody does.
    pub(super) fn dial_again_when_gone(&mut self, peer: PeerId, id: ConnectionId) -> bool {
        let dial = self.state.dials.get(&id);
        if dial.is_none_or(|dial| dial.waiters.is_empty()) {
            return false;
        }
        let Some(dial) = self.state.dials.remove(&id) else {
            return false;
        };
        let candidate = Candidate {
            peer: dial.peer,
            address: dial.address,
        };
        let (waiters, others) = (dial.waiters, dial.others);
        let dial = WaitingDial {
            candidate,
            waiters,
            others,
        };
        self.wait_until_gone(peer, dial);
        true
    }

    fn is_dialling(&self, candidate: &Candidate) -> bool {
        self.state.dials.values().any(|dial| {
            dial.address == candidate.address
                || (dial.peer.is_some() && dial.peer == candidate.peer)
        })
    }

    pub(super) fn start_dial(
        &mut self,
        candidate: Candidate,
        waiters: Vec<Waiter>,
        others: Vec<Multiaddr>,
    ) {
        let error = if self.state.mode == Mode::Offline {
            DialError::Offline
        } else if let Err(error) = self.policy.check(&candidate.address) {
            error
        } else if let Some(peer) = self.leaving_at(&candidate) {
            let dial = WaitingDial {
                candidate,
                waiters,
                others,
            };
            return self.wait_until_gone(peer, dial);
        } else {
            let Candidate { peer, address } = candidate;
            // Somebody dials there already: wait with them.
            if let Some(dial) = self
                .state
                .dials
                .values_mut()
                .find(|dial| dial.address == address)
            {
                dial.waiters.extend(waiters);
                return;
            }
            let target = match peer {
                Some(peer) => address.clone().with(Protocol::P2p(peer)),
                None => address.clone(),
            };
            let opts = DialOpts::unknown_peer_id().address(target).build();
            let id = opts.connection_id();
            let dial = Dial {
                peer,
                address,
                since: Instant::now(),
                waiters,
                others,
            };
            self.state.dials.insert(id, dial);
            if let Err(error) = self.swarm.dial(opts) {
                self.on_dial_failed(id, &error);
            }
            return;
        };
        self.hub
            .notify(NetworkNotice::dial_failed(candidate.address, error.clone()));
        for waiter in waiters {
            answer(waiter, Err(error.clone()));
        }
    }

    pub(super) fn on_dial_failed(&mut self, id: ConnectionId, error: &SwarmDialError) {
        self.end_dial(id, dial_error(error));
    }

    pub(super) fn end_dial(&mut self, id: ConnectionId, error: DialError) {
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
        let (peer, waiters) = (dial.peer, dial.waiters);
        self.hub
            .notify(NetworkNotice::dial_failed(dial.address, error.clone()));
        match peer.filter(|_| !waiters.is_empty()) {
            Some(peer) => self.dial_next(peer, dial.others, waiters, error),
            None => {
                for waiter in waiters {
                    answer(waiter, Err(error.clone()));
                }
            }
        }
        self.wake_pool();
    }
}

/// Who is being dialled, and since when the latest of the dials is under way.
pub(super) fn latest_dials<'a>(dials: impl Iterator<Item = &'a Dial>) -> HashMap<PeerId, Instant> {
    let mut latest = HashMap::new();
    for dial in dials {
        if let Some(peer) = dial.peer {
            let since = latest.entry(peer).or_insert(dial.since);
            *since = dial.since.max(*since);
        }
    }
    latest
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
pub(super) fn cause_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}
