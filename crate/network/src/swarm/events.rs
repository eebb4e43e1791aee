//! What the protocols report, and what follows from it.

use std::sync::atomic::Ordering;

use libp2p::{ping, swarm::SwarmEvent as Event};

use super::{SwarmEvent, Task};
use crate::{
    behaviour::BehaviourEvent,
    discovery::behaviour::Event as DiscoveryEvent,
    error::{LeaveReason, Violation},
    gossip::{GossipId, Outcome, mesh::Event as GossipEvent},
    limits,
};

impl Task {
    pub(super) fn on_swarm_event(&mut self, event: SwarmEvent) {
        match event {
            Event::Behaviour(event) => self.on_behaviour_event(event),
            Event::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            Event::ConnectionClosed {
                peer_id,
                connection_id,
                cause,
                ..
            } => {
                self.on_disconnected(peer_id, connection_id, cause.map(|cause| cause.to_string()));
            }
            Event::OutgoingConnectionError {
                connection_id,
                error,
                ..
            } => {
                self.on_dial_failed(connection_id, &error);
            }
            Event::IncomingConnectionError {
                send_back_addr,
                error,
                ..
            } => {
                log::debug!("connection from {send_back_addr} failed: {error}");
            }
            Event::NewListenAddr {
                listener_id,
                address,
            } => {
                self.on_listening(listener_id, address);
            }
            Event::ListenerClosed {
                listener_id,
                reason,
                ..
            } => {
                self.on_listener_closed(listener_id, reason.err());
            }
            Event::ListenerError { listener_id, error } => {
                log::debug!("listener {listener_id}: {error}");
            }
            _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Discovery(event) => self.on_discovery_event(event),
            BehaviourEvent::Requests(event) => {
                let requests = &mut self.swarm.behaviour_mut().requests;
                let broken = self.state.dispatch.on_event(requests, event);
                if let Some((peer, violation)) = broken {
                    self.drop_peer(peer, violation.into());
                }
            }
            BehaviourEvent::Gossip(event) => self.on_gossip_event(event),
            BehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result,
            }) => match result {
                Ok(rtt) => self.hub.peers.set_rtt(&peer, rtt),
                // It may have come back over another connection, and this is the one it left.
                Err(failure) => {
                    let reason = LeaveReason::Ping(failure.to_string());
                    self.note_reason_of(connection, reason);
                    self.swarm.close_connection(connection);
                }
            },
            BehaviourEvent::Gate(never) => match never {},
            BehaviourEvent::Limits(never) => match never {},
        }
    }

    fn on_discovery_event(&mut self, event: DiscoveryEvent) {
        match event {
            DiscoveryEvent::Established {
                peer,
                connection,
                address,
                services,
                told,
            } => {
                self.on_established(peer, connection, address, services, told);
            }
            DiscoveryEvent::NewContacts => self.wake_pool(),
            // The behaviour closes the connections itself; what is left is to remember why.
            DiscoveryEvent::Failed {
                peer,
                connection,
                error,
            } => match connection {
                Some(connection) => self.note_reason_of(connection, error.into()),
                None => self.note_reason(peer, error.into()),
            },
        }
    }

    fn on_gossip_event(&mut self, event: GossipEvent) {
        let (source, message, topic, data) = match event {
            GossipEvent::Message {
                source,
                id,
                topic,
                data,
            } => (source, id, topic, data),
            GossipEvent::Malformed(peer) => {
                return self.strike(peer, Violation::MalformedGossipStream);
            }
        };
        let id = GossipId { message, source };
        let gossip = &mut self.swarm.behaviour_mut().gossip.mesh;
        match self.state.topics.deliver(gossip, id, &topic, data) {
            Outcome::Delivered | Outcome::Ignored => {}
            Outcome::Dropped => {
                self.hub.dropped_gossip.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Oversized => self.strike(source, Violation::MalformedGossip(topic)),
        }
    }

    /// Counts malformed gossip against the peer that passed it on.
    pub(super) fn strike(&mut self, peer: libp2p::PeerId, violation: Violation) {
        let Some(state) = self.state.peers.get_mut(&peer) else {
            return;
        };
        state.strikes += 1;
        if state.strikes >= limits::MAX_GOSSIP_STRIKES {
            self.drop_peer(peer, violation.into());
        }
    }
}
