//! What gossip knows of a connected peer.

use std::collections::VecDeque;

use libp2p::{PeerId, swarm::ConnectionId};

use super::rpc::MessageId;
use crate::limits;

/// A topic that a peer is subscribed to.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) topic: String,
    /// Whether the peer is in our mesh of it.
    pub(super) in_mesh: bool,
}

/// A connected peer, as gossip knows it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    /// In the order in which they were made. The first is the one that we write to.
    pub(super) connections: Vec<ConnectionId>,
    /// Whether we have dialled it, so that it hasn't chosen us.
    pub(super) dialled: bool,
    pub(super) subscriptions: Vec<Subscription>,
    /// Messages of late that turned out to be wrong.
    pub(super) rejected: u32,
    /// What it has made us say since the last heartbeat.
    pub(super) replies: usize,
    /// Messages that it has said to have.
    pub(super) unwanted: VecDeque<MessageId>,
}

impl Peer {
    pub(super) fn new(id: PeerId, connection: ConnectionId, dialled: bool) -> Self {
        Self {
            id,
            connections: vec![connection],
            dialled,
            subscriptions: Vec::new(),
            rejected: 0,
            replies: 0,
            unwanted: VecDeque::new(),
        }
    }

    pub(super) fn subscription(&mut self, topic: &str) -> Option<&mut Subscription> {
        self.subscriptions
            .iter_mut()
            .find(|subscription| subscription.topic == topic)
    }

    pub(super) fn is_subscribed(&self, topic: &str) -> bool {
        self.subscriptions
            .iter()
            .any(|subscription| subscription.topic == topic)
    }

    pub(super) fn is_in_mesh(&self, topic: &str) -> bool {
        self.subscriptions
            .iter()
            .any(|subscription| subscription.in_mesh && subscription.topic == topic)
    }

    /// Whether it has told so much that was wrong that it isn't listened to for a while.
    pub(super) fn is_ignored(&self) -> bool {
        self.rejected >= limits::MAX_GOSSIP_REJECTED
    }

    /// Whether it may make us say one thing more before the next heartbeat.
    pub(super) fn may_cause_reply(&mut self) -> bool {
        self.replies += 1;
        self.replies <= limits::MAX_GOSSIP_REPLIES
    }
}
