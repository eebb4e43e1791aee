//! Gossip: the topics this client is subscribed to, and the mesh that brings their messages.
//!
//! Every message is held back until somebody says whether it is acceptable: the subscriber of the
//! topic, through `validate_message`, or this module, if the message is too large, can't be decoded,
//! comes too often, or nobody has room for it. So good messages travel on, and we are the mesh member
//! that others keep.
//!
//! `rpc` is what peers say, and `handler` brings it over one connection. `mesh` decides what we say, of
//! which `peer` and `cache` are what it remembers, and `behaviour` makes it a part of the swarm.

pub(crate) mod behaviour;
mod cache;
mod handler;
pub(crate) mod mesh;
#[cfg(test)]
mod mesh_tests;
mod peer;
mod rpc;

use std::{collections::HashMap, fmt};

use libp2p::PeerId;
use nimiq_network_interface::network::{MsgAcceptance, PubsubId, Topic};
use tokio::sync::mpsc;
use web_time::Instant;

use self::mesh::{Mesh, PublishError};
pub(crate) use self::rpc::MessageId;
use crate::{
    error::NetworkError,
    limits,
    reqres::rate_limit::{RateLimit, RateLimiter, Verdict},
};

/// Names one received message: what it is and who passed it on.
#[derive(Clone, PartialEq, Eq)]
pub struct GossipId {
    pub(crate) message: MessageId,
    pub(crate) source: PeerId,
}

impl fmt::Debug for GossipId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GossipId({:?} from {})", self.message, self.source)
    }
}

impl PubsubId<PeerId> for GossipId {
    fn propagation_source(&self) -> PeerId {
        self.source
    }
}

/// What a subscription asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicOptions {
    buffer: usize,
    pub(crate) validate: bool,
    limit: RateLimit,
    max_size: usize,
    direction: Direction,
}

/// Between whom the messages of a topic go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From everybody to everybody.
    #[default]
    All,
    /// From those we have dialled to everybody. What others send is not looked at.
    FromDialled,
    /// From those who came to us to those we have dialled. What these send is not looked at, nor are
    /// they told that we take part. It doesn't depend on a mesh: all who are subscribed get it.
    ToDialled,
}

impl Direction {
    /// Whether those whom we have dialled, or the others, are told that we take part.
    fn is_told(self, dialled: bool) -> bool {
        !dialled || self != Self::ToDialled
    }
}

impl TopicOptions {
    pub(crate) fn of<T: Topic>(direction: Direction) -> Self {
        Self {
            buffer: T::BUFFER_SIZE.clamp(1, limits::MAX_TOPIC_BUFFER),
            validate: T::VALIDATE,
            limit: RateLimit {
                max: T::MAX_MESSAGES,
                window: T::TIME_WINDOW,
            },
            max_size: T::MAX_MESSAGE_SIZE.min(limits::MAX_GOSSIP_BYTES),
            direction,
        }
    }
}

/// A message on its way to its subscriber.
pub(crate) type Delivery = (Vec<u8>, GossipId);

#[derive(Debug)]
struct Subscription {
    sender: mpsc::Sender<Delivery>,
    options: TopicOptions,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// On its way to the subscriber.
    Delivered,
    /// Not delivered, for a reason that is nobody's fault.
    Ignored,
    /// Not delivered, because the subscriber is too slow.
    Dropped,
    /// Larger than its topic allows.
    Oversized,
}

/// The topics this client is subscribed to.
#[derive(Debug)]
pub(crate) struct Topics {
    subscriptions: HashMap<String, Subscription>,
    limiter: RateLimiter<String>,
}

impl Topics {
    pub(crate) fn new(rate_counters: usize) -> Self {
        Self {
            subscriptions: HashMap::new(),
            limiter: RateLimiter::new(rate_counters),
        }
    }

    pub(crate) fn subscribe(
        &mut self,
        gossip: &mut Mesh,
        name: String,
        options: TopicOptions,
    ) -> Result<mpsc::Receiver<Delivery>, NetworkError> {
        let refused = |topic: String, reason: &str| NetworkError::Subscribe {
            topic,
            reason: reason.to_owned(),
        };
        match self.subscriptions.get(&name) {
            Some(existing) if !existing.sender.is_closed() => {
                return Err(NetworkError::AlreadySubscribed(name));
            }
            // Its subscriber is gone without a word; the topic goes on with the new one.
            Some(_) => {}
            None if self.subscriptions.len() >= limits::MAX_OWN_TOPICS => {
                return Err(refused(name, "too many topics"));
            }
            None if name.len() > limits::MAX_GOSSIP_TOPIC_BYTES => {
                return Err(refused(name, "the name is too long"));
            }
            None => gossip.subscribe(&name, options.direction),
        }
        let (sender, receiver) = mpsc::channel(options.buffer);
        self.subscriptions
            .insert(name, Subscription { sender, options });
        Ok(receiver)
    }

    pub(crate) fn unsubscribe(
        &mut self,
        gossip: &mut Mesh,
        name: String,
    ) -> Result<(), NetworkError> {
        if self.subscriptions.remove(&name).is_none() {
            return Err(NetworkError::NotSubscribed(name));
        }
        gossip.unsubscribe(&name);
        Ok(())
    }

    /// Takes in a message, and reports its fate to gossip unless the subscriber is to decide.
    pub(crate) fn deliver(
        &mut self,
        gossip: &mut Mesh,
        id: GossipId,
        topic: &str,
        data: Vec<u8>,
    ) -> Outcome {
        let message = id.message;
        let Some(subscription) = self.subscriptions.get(topic) else {
            gossip.report(&message, MsgAcceptance::Ignore);
            return Outcome::Ignored;
        };
        let TopicOptions {
            limit,
            max_size,
            validate,
            ..
        } = subscription.options;
        let (topic_name, now) = (topic.to_owned(), Instant::now());
        if self.limiter.count(id.source, topic_name, limit, now) != Verdict::Allowed {
            // It may come from somebody who has not sent as much.
            gossip.forget(&message);
            return Outcome::Ignored;
        }
        if data.len() > max_size {
            gossip.report(&message, MsgAcceptance::Reject);
            return Outcome::Oversized;
        }
        let (outcome, acceptance) = match subscription.sender.try_send((data, id)) {
            Ok(()) if validate => return Outcome::Delivered,
            Ok(()) => (Outcome::Delivered, MsgAcceptance::Accept),
            Err(mpsc::error::TrySendError::Full(_)) => (Outcome::Dropped, MsgAcceptance::Ignore),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                // Nobody listens any more, so nobody needs to send.
                self.subscriptions.remove(topic);
                gossip.unsubscribe(topic);
                (Outcome::Ignored, MsgAcceptance::Ignore)
            }
        };
        gossip.report(&message, acceptance);
        outcome
    }
}

/// Tells gossip whether a message is acceptable. Too late is no error: nobody waits for it any more.
pub(crate) fn report(gossip: &mut Mesh, id: &GossipId, acceptance: MsgAcceptance) {
    if !gossip.report(&id.message, acceptance) {
        log::trace!("validation result for {id:?} came too late");
    }
}

/// Publishes a message, to all or to one peer. One that was published before is no error.
pub(crate) fn publish(
    gossip: &mut Mesh,
    topic: String,
    data: Vec<u8>,
    to: Option<&PeerId>,
) -> Result<(), NetworkError> {
    gossip
        .publish(topic.clone(), data, to)
        .map_err(|error| match error {
            PublishError::NoSubscribers => NetworkError::NoSubscribers(topic),
            PublishError::TooLarge => NetworkError::Publish {
                topic,
                reason: "too large".to_owned(),
            },
        })
}
