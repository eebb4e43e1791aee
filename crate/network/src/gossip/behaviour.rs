//! The mesh as a part of the swarm's behaviour.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, ToSwarm,
        behaviour::{ConnectionClosed, ConnectionEstablished},
    },
};
use nimiq_time::{Sleep, sleep};
use web_time::Instant;

use super::{
    handler::{Handler, Outgoing, Report},
    mesh::{Event, Mesh},
};
use crate::{capacity::Capacity, limits};

/// The gossip protocol.
pub(crate) struct Behaviour {
    pub(crate) mesh: Mesh,
    queue_bytes: usize,
    heartbeat: Pin<Box<Sleep>>,
}

impl Behaviour {
    pub(crate) fn new(local: PeerId, capacity: &Capacity) -> Self {
        Self {
            mesh: Mesh::new(local, capacity),
            queue_bytes: capacity.gossip_queue,
            heartbeat: Box::pin(sleep(limits::GOSSIP_HEARTBEAT)),
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Handler::new(self.queue_bytes))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Handler::new(self.queue_bytes))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            }) => self
                .mesh
                .on_connected(peer_id, connection_id, endpoint.is_dialer()),
            FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id,
                connection_id,
                ..
            }) => self.mesh.on_disconnected(&peer_id, connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, report: Report) {
        match report {
            Report::Items(items) => self.mesh.hear(&peer, items, Instant::now()),
            Report::Malformed => self
                .mesh
                .events
                .push_back(ToSwarm::GenerateEvent(Event::Malformed(peer))),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, Outgoing>> {
        loop {
            if let Some(event) = self.mesh.events.pop_front() {
                return Poll::Ready(event);
            }
            if self.heartbeat.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.heartbeat = Box::pin(sleep(limits::GOSSIP_HEARTBEAT));
            self.mesh.beat(Instant::now());
        }
    }
}
