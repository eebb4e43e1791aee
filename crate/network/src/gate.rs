//! The doorkeeper: refuses connections from and to those who are banned, and more connections from
//! one host than are allowed.

use std::{
    collections::HashMap,
    convert::Infallible,
    hash::Hash,
    net::IpAddr,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandlerInEvent,
        THandlerOutEvent, ToSwarm,
        behaviour::{ConnectionClosed, ConnectionEstablished},
        dummy,
    },
};
use thiserror::Error;
use web_time::Instant;

use crate::{address, limits};

/// Tells libp2p, and through it us, why a connection was refused.
#[derive(Clone, Copy, Debug, Error)]
#[error("banned")]
pub(crate) struct Banned;

/// There are enough connections from that host.
#[derive(Clone, Copy, Debug, Error)]
#[error("too many connections from one address")]
struct TooManyOfHost;

/// Who is banned, and until when.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    peers: HashMap<PeerId, Instant>,
    addresses: HashMap<Multiaddr, Instant>,
}

impl Bans {
    /// Bans a peer and, if we dialled it, where it was dialled. The address an inbound connection
    /// comes from has a port of the moment, and its host may be shared with the whole street.
    pub(crate) fn ban(&mut self, peer: PeerId, dialled: Option<&Multiaddr>, now: Instant) {
        let until = now + limits::BAN_TIME;
        add(&mut self.peers, peer, until);
        if let Some(address) = dialled {
            add(&mut self.addresses, address::ban_key(address), until);
        }
    }

    pub(crate) fn is_peer_banned(&self, peer: &PeerId, now: Instant) -> bool {
        self.peers.get(peer).is_some_and(|until| now < *until)
    }

    pub(crate) fn is_address_banned(&self, address: &Multiaddr, now: Instant) -> bool {
        // Looked up without allocating for the common case that nobody is banned.
        !self.addresses.is_empty()
            && self
                .addresses
                .get(&address::ban_key(address))
                .is_some_and(|until| now < *until)
    }
}

/// Adds an entry to a bounded map; the one that ends first makes room.
fn add<K: Eq + Hash + Clone>(map: &mut HashMap<K, Instant>, key: K, until: Instant) {
    if !map.contains_key(&key)
        && map.len() >= limits::MAX_BANS
        && let Some(first) = map
            .iter()
            .min_by_key(|(_, until)| **until)
            .map(|(key, _)| key.clone())
    {
        map.remove(&first);
    }
    map.insert(key, until);
}

/// Connections that others have opened, by their host. Nothing is counted without a limit.
#[derive(Debug, Default)]
struct Hosts {
    limit: Option<u32>,
    open: HashMap<IpAddr, u32>,
}

impl Hosts {
    fn has_room(&self, address: &Multiaddr) -> bool {
        match (self.limit, address::ip_of(address)) {
            (Some(limit), Some(ip)) => self.open.get(&ip).is_none_or(|open| *open < limit),
            _ => true,
        }
    }

    fn opened(&mut self, address: &Multiaddr) {
        if let (Some(_), Some(ip)) = (self.limit, address::ip_of(address)) {
            *self.open.entry(ip).or_default() += 1;
        }
    }

    fn closed(&mut self, address: &Multiaddr) {
        if let Some(ip) = address::ip_of(address)
            && let Some(open) = self.open.get_mut(&ip)
        {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&ip);
            }
        }
    }
}

/// The doorkeeper as a part of the swarm's behaviour.
#[derive(Debug, Default)]
pub(crate) struct Behaviour {
    pub(crate) bans: Bans,
    hosts: Hosts,
}

impl Behaviour {
    pub(crate) fn new(connections_per_ip: Option<u32>) -> Self {
        Self {
            bans: Bans::default(),
            hosts: Hosts {
                limit: connections_per_ip,
                open: HashMap::new(),
            },
        }
    }

    fn check_host(&self, address: &Multiaddr) -> Result<(), ConnectionDenied> {
        match self.hosts.has_room(address) {
            true => Ok(()),
            false => Err(ConnectionDenied::new(TooManyOfHost)),
        }
    }

    fn check_peer(&self, peer: &PeerId) -> Result<(), ConnectionDenied> {
        if self.bans.is_peer_banned(peer, Instant::now()) {
            return Err(ConnectionDenied::new(Banned));
        }
        Ok(())
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.check_host(remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        self.check_host(remote)?;
        self.check_peer(&peer).map(|()| dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if let Some(peer) = peer {
            self.check_peer(&peer)?;
        }
        let now = Instant::now();
        if addresses
            .iter()
            .any(|address| self.bans.is_address_banned(address, now))
        {
            return Err(ConnectionDenied::new(Banned));
        }
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        self.check_peer(&peer).map(|()| dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                endpoint: ConnectedPoint::Listener { send_back_addr, .. },
                ..
            }) => self.hosts.opened(send_back_addr),
            FromSwarm::ConnectionClosed(ConnectionClosed {
                endpoint: ConnectedPoint::Listener { send_back_addr, .. },
                ..
            }) => self.hosts.closed(send_back_addr),
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use libp2p::multiaddr::Protocol;

    use super::*;

    #[test]
    fn bans_cover_peer_and_port_and_end() {
        let mut bans = Bans::default();
        let (peer, now) = (PeerId::random(), Instant::now());
        let address: Multiaddr = "/ip4/127.0.0.1/tcp/5/ws".parse().unwrap();
        bans.ban(peer, Some(&address), now);
        assert!(bans.is_peer_banned(&peer, now));
        assert!(!bans.is_peer_banned(&PeerId::random(), now));
        let with_id = address.clone().with(Protocol::P2p(peer));
        assert!(bans.is_address_banned(&with_id, now));
        assert!(!bans.is_address_banned(&"/ip4/127.0.0.1/tcp/6/ws".parse().unwrap(), now));
        let end = now + limits::BAN_TIME;
        assert!(bans.is_peer_banned(&peer, end - Duration::from_millis(1)));
        assert!(!bans.is_peer_banned(&peer, end));
        assert!(!bans.is_address_banned(&address, end));
    }

    #[test]
    fn connections_of_one_host_are_counted() {
        let mut hosts = Hosts {
            limit: Some(2),
            open: HashMap::new(),
        };
        let from = |ip: &str, port: u16| -> Multiaddr {
            format!("/ip4/{ip}/tcp/{port}/ws").parse().unwrap()
        };
        for port in 1..=2 {
            assert!(hosts.has_room(&from("1.2.3.4", port)));
            hosts.opened(&from("1.2.3.4", port));
        }
        assert!(!hosts.has_room(&from("1.2.3.4", 3)));
        assert!(hosts.has_room(&from("1.2.3.5", 3)));
        hosts.closed(&from("1.2.3.4", 1));
        assert!(hosts.has_room(&from("1.2.3.4", 3)));
        hosts.closed(&from("1.2.3.4", 2));
        // Somebody who was never counted.
        hosts.closed(&from("1.2.3.4", 2));
        assert!(hosts.open.is_empty());
        assert!(Hosts::default().has_room(&from("1.2.3.4", 1)));
    }

    #[test]
    fn bans_are_bounded_and_the_oldest_goes() {
        let mut bans = Bans::default();
        let (first, now) = (PeerId::random(), Instant::now());
        bans.ban(first, None, now);
        for i in 0..limits::MAX_BANS as u64 {
            bans.ban(PeerId::random(), None, now + Duration::from_millis(i + 1));
        }
        assert_eq!(bans.peers.len(), limits::MAX_BANS);
        assert!(!bans.is_peer_banned(&first, now));
    }
}
