//! The gossip mesh, as gossipsub 1.2 has it, as far as a light client takes part in it.
//!
//! For each of our topics some of the peers that are subscribed to it are in the mesh: they send us
//! each message at once, and we send them what others have sent us. Peers outside of it say now and
//! then what they have, and we fetch what the mesh has not brought. What we leave out: we say of no
//! message that we have it, because a client holds on to none, and we exchange no peers, because
//! discovery does. Peers aren't ranked: who lies is dropped by those who notice, and who is silent
//! is made up for by the others.

use std::{collections::VecDeque, time::Duration};

use libp2p::{
    PeerId,
    swarm::{ConnectionId, NotifyHandler, ToSwarm},
};
use nimiq_network_interface::network::MsgAcceptance;
use rand::RngExt;
use web_time::Instant;

use super::{
    Direction,
    cache::{Asked, Backoffs, Pending, Seen},
    handler::Outgoing,
    peer::{Peer, Subscription},
    rpc::{self, Frame, Item, Message, MessageId},
};
use crate::{capacity::Capacity, limits};

/// What gossip tells the swarm task.
#[derive(Debug)]
pub(crate) enum Event {
    /// A message that has not been there before. Somebody has to [`Mesh::report`] on it.
    Message {
        source: PeerId,
        id: MessageId,
        topic: String,
        data: Vec<u8>,
    },
    /// A peer says what is no gossip at all.
    Malformed(PeerId),
}

/// Why a message was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublishError {
    TooLarge,
    NoSubscribers,
}

/// What is to be told to the task and to handlers.
type Events = VecDeque<ToSwarm<Event, Outgoing>>;

/// Our part of the mesh.
pub(crate) struct Mesh {
    local: PeerId,
    capacity: Capacity,
    /// What we are subscribed to.
    topics: Vec<(String, Direction)>,
    peers: Vec<Peer>,
    seen: Seen,
    pending: Pending,
    asked: Asked,
    backoffs: Backoffs,
    pub(super) events: Events,
    beats: u32,
}

impl Mesh {
    pub(crate) fn new(local: PeerId, capacity: &Capacity) -> Self {
        Self {
            local,
            capacity: *capacity,
            topics: Vec::new(),
            peers: Vec::new(),
            seen: Seen::default(),
            pending: Pending::default(),
            asked: Asked::default(),
            backoffs: Backoffs::default(),
            events: VecDeque::new(),
            beats: 0,
        }
    }

    // --- What the client wants --------------------------------------------------------------------

    pub(crate) fn subscribe(&mut self, topic: &str, direction: Direction) {
        if self.is_ours(topic) {
            return;
        }
        self.topics.push((topic.to_owned(), direction));
        let frame = rpc::subscription_frame(topic, true);
        for peer in &self.peers {
            if direction.is_told(peer.dialled) {
                send(&mut self.events, peer, &frame, false);
            }
        }
        self.fill_mesh(topic, Instant::now());
    }

    pub(crate) fn unsubscribe(&mut self, topic: &str) {
        self.topics.retain(|(ours, _)| ours != topic);
        let goodbye = rpc::subscription_frame(topic, false);
        for index in 0..self.peers.len() {
            let Some(peer) = self.peers.get(index) else {
                continue;
            };
            send(&mut self.events, peer, &goodbye, false);
            if peer.is_in_mesh(topic) {
                self.prune(
                    index,
                    topic,
                    limits::GOSSIP_UNSUBSCRIBE_BACKOFF,
                    Instant::now(),
                );
            }
        }
    }

    /// Sends a message to all who are subscribed to its topic, or to one of them. One that has been
    /// there before is not sent again.
    pub(crate) fn publish(
        &mut self,
        topic: String,
        data: Vec<u8>,
        to: Option<&PeerId>,
    ) -> Result<(), PublishError> {
        let id = MessageId::of(&topic, &data);
        if self.seen.contains(&id) {
            return Ok(());
        }
        let message = Message {
            author: Some(self.local),
            number: Some(rand::rng().random()),
            topic,
            data,
        };
        let frame = rpc::message_frame(&message);
        if frame.len() > limits::MAX_GOSSIP_BYTES {
            return Err(PublishError::TooLarge);
        }
        let mut sent = false;
        for peer in &self.peers {
            if to.is_none_or(|to| *to == peer.id)
                && peer.is_subscribed(&message.topic)
                && !peer.is_ignored()
            {
                send(&mut self.events, peer, &frame, true);
                sent = true;
            }
        }
        if !sent {
            return Err(PublishError::NoSubscribers);
        }
        self.seen.insert(id, Instant::now());
        Ok(())
    }

    /// Takes in whether a message is acceptable. Returns whether it was still waited for.
    pub(crate) fn report(&mut self, id: &MessageId, acceptance: MsgAcceptance) -> bool {
        let Some(waiting) = self.pending.take(id) else {
            return false;
        };
        let flood = self.direction_of(&waiting.topic) == Some(Direction::ToDialled);
        for peer in &mut self.peers {
            let is_source = waiting.sources.contains(&peer.id);
            match acceptance {
                MsgAcceptance::Accept => {
                    if !is_source
                        && waiting.author != Some(peer.id)
                        && match flood {
                            true => peer.dialled && peer.is_subscribed(&waiting.topic),
                            false => peer.is_in_mesh(&waiting.topic),
                        }
                        && !peer.unwanted.contains(id)
                    {
                        send(&mut self.events, peer, &waiting.frame, true);
                    }
                }
                MsgAcceptance::Reject if is_source => peer.rejected += 1,
                MsgAcceptance::Reject | MsgAcceptance::Ignore => {}
            }
        }
        true
    }

    /// Forgets a message that nobody had room for, so that it can come from another peer.
    pub(crate) fn forget(&mut self, id: &MessageId) {
        self.pending.take(id);
        self.seen.remove(id);
    }

    // --- What peers say ---------------------------------------------------------------------------

    pub(super) fn hear(&mut self, peer: &PeerId, items: Vec<Item>, now: Instant) {
        let Some(index) = self.peers.iter().position(|other| other.id == *peer) else {
            return;
        };
        for item in items {
            self.on_item(index, item, now);
        }
    }

    fn on_item(&mut self, index: usize, item: Item, now: Instant) {
        let Some(peer) = self.peers.get_mut(index) else {
            return;
        };
        if peer.is_ignored() && !matches!(item, Item::Subscribe(_) | Item::Unsubscribe(_)) {
            return;
        }
        match item {
            Item::Subscribe(topic) => {
                if peer.subscriptions.len() >= limits::MAX_GOSSIP_TOPICS_PER_PEER
                    || peer.is_subscribed(&topic)
                {
                    return;
                }
                peer.subscriptions.push(Subscription {
                    topic: topic.clone(),
                    in_mesh: false,
                });
                if self.mesh_size(&topic) < self.capacity.mesh_low {
                    self.graft(index, &topic, now);
                }
            }
            Item::Unsubscribe(topic) => peer
                .subscriptions
                .retain(|subscription| subscription.topic != topic),
            Item::Message(message) => self.on_message(index, message, now),
            Item::Have(topic, ids) => self.on_have(index, &topic, ids, now),
            Item::Graft(topic) => self.on_graft(index, &topic, now),
            Item::Prune(topic, backoff) => {
                let is_ours = self.topics.iter().any(|(ours, _)| *ours == topic);
                match peer.subscription(&topic) {
                    Some(subscription) if is_ours => subscription.in_mesh = false,
                    _ => return,
                }
                let backoff = backoff
                    .map_or(limits::GOSSIP_BACKOFF, Duration::from_secs)
                    .min(limits::MAX_GOSSIP_BACKOFF);
                self.backoffs.set(peer.id, topic, now + backoff);
            }
            Item::Unwanted(ids) => {
                for id in ids {
                    if peer.unwanted.len() >= limits::MAX_GOSSIP_UNWANTED {
                        peer.unwanted.pop_front();
                    }
                    peer.unwanted.push_back(id);
                }
            }
        }
    }

    fn on_message(&mut self, index: usize, message: Message, now: Instant) {
        let Some(peer) = self.peers.get(index) else {
            return;
        };
        // What says to come from us, and isn't known, doesn't.
        if !self.is_heard(&message.topic, peer.dialled) || message.author == Some(self.local) {
            return;
        }
        let (source, in_mesh) = (peer.id, peer.is_in_mesh(&message.topic));
        let id = MessageId::of(&message.topic, &message.data);
        let fetched = self.asked.arrived(&id, &source);
        if !self.seen.insert(id, now) {
            return self.pending.came_again(&id, source);
        }
        self.pending.insert(id, source, &message, now);
        let topic = message.topic;
        // It had what the mesh has not brought.
        if fetched && !in_mesh && self.mesh_size(&topic) < self.capacity.mesh_size {
            self.graft(index, &topic, now);
        }
        self.events
            .push_back(ToSwarm::GenerateEvent(Event::Message {
                source,
                id,
                topic,
                data: message.data,
            }));
    }

    /// Fetches what is not there and not asked for already.
    fn on_have(&mut self, index: usize, topic: &str, ids: Vec<MessageId>, now: Instant) {
        let dialled = self.peers.get(index).is_some_and(|peer| peer.dialled);
        let is_heard = self.is_heard(topic, dialled);
        let Some(peer) = self.peers.get_mut(index).filter(|_| is_heard) else {
            return;
        };
        if !peer.may_cause_reply() {
            return;
        }
        let mut wanted = ids;
        wanted.retain(|id| !self.seen.contains(id) && self.asked.ask(*id, peer.id, now));
        if !wanted.is_empty() {
            send(&mut self.events, peer, &rpc::want_frame(&wanted), true);
        }
    }

    fn on_graft(&mut self, index: usize, topic: &str, now: Instant) {
        let is_full = self.mesh_size(topic) >= self.capacity.mesh_high;
        let is_ours = self.is_ours(topic);
        let Some(peer) = self.peers.get_mut(index) else {
            return;
        };
        // One that we have dialled finds a place also when others have filled the mesh.
        let refused = is_full && !peer.dialled || self.backoffs.is_active(&peer.id, topic, now);
        let Some(subscription) = peer.subscription(topic).filter(|_| is_ours) else {
            return;
        };
        if !refused {
            subscription.in_mesh = true;
        } else if !subscription.in_mesh && peer.may_cause_reply() {
            self.prune(index, topic, limits::GOSSIP_BACKOFF, now);
        }
    }

    // --- The mesh ---------------------------------------------------------------------------------

    fn is_ours(&self, topic: &str) -> bool {
        self.direction_of(topic).is_some()
    }

    fn direction_of(&self, topic: &str) -> Option<Direction> {
        let mut topics = self.topics.iter();
        let found = topics.find(|(ours, _)| ours == topic);
        found.map(|(_, direction)| *direction)
    }

    /// Whether we want messages of a topic from those whom we have dialled, or from the others.
    fn is_heard(&self, topic: &str, dialled: bool) -> bool {
        match self.direction_of(topic) {
            None => false,
            Some(Direction::All) => true,
            Some(Direction::FromDialled) => dialled,
            Some(Direction::ToDialled) => !dialled,
        }
    }

    fn mesh_size(&self, topic: &str) -> usize {
        let peers = self.peers.iter();
        peers.filter(|peer| peer.is_in_mesh(topic)).count()
    }

    /// Takes a peer into the mesh, if that is possible.
    fn graft(&mut self, index: usize, topic: &str, now: Instant) {
        let direction = self.direction_of(topic);
        let Some(peer) = self.peers.get_mut(index) else {
            return;
        };
        if !direction.is_some_and(|direction| direction.is_told(peer.dialled)) {
            return;
        }
        if peer.is_ignored() || self.backoffs.is_active(&peer.id, topic, now) {
            return;
        }
        if peer.is_in_mesh(topic) || !peer.may_cause_reply() {
            return;
        }
        if let Some(subscription) = peer.subscription(topic) {
            subscription.in_mesh = true;
            send(&mut self.events, peer, &rpc::graft_frame(topic), false);
        }
    }

    /// Takes a peer out of the mesh, and keeps it out for a while.
    fn prune(&mut self, index: usize, topic: &str, backoff: Duration, now: Instant) {
        let Some(peer) = self.peers.get_mut(index) else {
            return;
        };
        if let Some(subscription) = peer.subscription(topic) {
            subscription.in_mesh = false;
        }
        self.backoffs.set(peer.id, topic.to_owned(), now + backoff);
        let frame = rpc::prune_frame(topic, backoff.as_secs());
        send(&mut self.events, peer, &frame, false);
    }

    /// Takes peers into the mesh, some that we have dialled in any case.
    fn fill_mesh(&mut self, topic: &str, now: Instant) {
        let mut candidates: Vec<usize> = Vec::new();
        let (mut size, mut dialled) = (0, 0);
        for (index, peer) in self.peers.iter().enumerate() {
            if peer.is_in_mesh(topic) {
                size += 1;
                dialled += usize::from(peer.dialled);
            } else if peer.is_subscribed(topic)
                && !peer.is_ignored()
                && !self.backoffs.is_active(&peer.id, topic, now)
            {
                candidates.push(index);
            }
        }
        let fill = size < self.capacity.mesh_low;
        while !candidates.is_empty() {
            let chosen = candidates.swap_remove(rand::rng().random_range(0..candidates.len()));
            let is_dialled = self.peers.get(chosen).is_some_and(|peer| peer.dialled);
            if fill && size < self.capacity.mesh_size
                || is_dialled && dialled < limits::GOSSIP_MESH_DIALLED
            {
                size += 1;
                dialled += usize::from(is_dialled);
                self.graft(chosen, topic, now);
            }
        }
    }

    /// Lets those go who are too many, and those who tell what is wrong.
    fn thin_mesh(&mut self, topic: &str, now: Instant) {
        let size = self.mesh_size(topic);
        let mut surplus = match size > self.capacity.mesh_high {
            true => size - self.capacity.mesh_size,
            false => 0,
        };
        // Those who came last go first, and before those whom we have dialled.
        for index in (0..self.peers.len()).rev() {
            let Some(peer) = self.peers.get(index).filter(|peer| peer.is_in_mesh(topic)) else {
                continue;
            };
            if peer.is_ignored() || surplus > 0 && !peer.dialled {
                surplus = surplus.saturating_sub(1);
                self.prune(index, topic, limits::GOSSIP_BACKOFF, now);
            }
        }
    }

    pub(super) fn beat(&mut self, now: Instant) {
        self.beats = self.beats.wrapping_add(1);
        self.seen.expire(now);
        self.pending.expire(now);
        self.asked.expire(now);
        self.backoffs.expire(now);
        let forgive = self.beats.is_multiple_of(limits::GOSSIP_FORGIVING_BEATS);
        for peer in &mut self.peers {
            peer.replies = 0;
            peer.rejected = peer.rejected.saturating_sub(u32::from(forgive));
        }
        for (topic, _) in self.topics.clone() {
            self.thin_mesh(&topic, now);
            self.fill_mesh(&topic, now);
        }
    }

    // --- Coming and going -------------------------------------------------------------------------

    pub(super) fn on_connected(&mut self, id: PeerId, connection: ConnectionId, dialled: bool) {
        // Nodes know our topics by what was said on any connection, but one may break before it is read.
        for (topic, direction) in &self.topics {
            if direction.is_told(dialled) {
                let frame = rpc::subscription_frame(topic, true);
                send_on(&mut self.events, id, connection, &frame, false);
            }
        }
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) {
            peer.connections.push(connection);
            peer.dialled |= dialled;
            return;
        }
        self.peers.push(Peer::new(id, connection, dialled));
    }

    pub(super) fn on_disconnected(&mut self, id: &PeerId, connection: ConnectionId) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == *id) {
            peer.connections.retain(|other| *other != connection);
            self.peers.retain(|peer| !peer.connections.is_empty());
        }
    }
}

fn send(events: &mut Events, peer: &Peer, frame: &Frame, optional: bool) {
    if let Some(connection) = peer.connections.first() {
        send_on(events, peer.id, *connection, frame, optional);
    }
}

fn send_on(
    events: &mut Events,
    peer_id: PeerId,
    connection: ConnectionId,
    frame: &Frame,
    optional: bool,
) {
    events.push_back(ToSwarm::NotifyHandler {
        peer_id,
        handler: NotifyHandler::One(connection),
        event: Outgoing {
            frame: Frame::clone(frame),
            optional,
        },
    });
}
