//! Gossip: the mesh with the settings nodes use, and the topics this client is subscribed to.
//!
//! Every message is held back until somebody says whether it is acceptable: the subscriber of the
//! topic, through `validate_message`, or this module, if the message is too large, can't be decoded,
//! comes too often, or nobody has room for it. So good messages travel on, and we are the mesh member
//! that others keep.

use std::{collections::HashMap, fmt};

use libp2p::{
    PeerId,
    gossipsub::{
        self, AllowAllSubscriptionFilter, IdentTopic, IdentityTransform,
        MaxCountSubscriptionFilter, MessageAcceptance, MessageAuthenticity, MessageId,
        PeerScoreParams, PeerScoreThresholds, PublishError, TopicHash, TopicScoreParams,
        ValidationMode,
    },
};
use nimiq_network_interface::network::{PubsubId, Topic};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use web_time::Instant;

use crate::{
    error::NetworkError,
    limits,
    reqres::rate_limit::{RateLimit, RateLimiter, Verdict},
};

/// The gossip behaviour. Peers can subscribe to any topic, but only to so many.
pub(crate) type Gossipsub =
    gossipsub::Behaviour<IdentityTransform, MaxCountSubscriptionFilter<AllowAllSubscriptionFilter>>;

/// Names one received message: what it is and who passed it on.
#[derive(Clone, PartialEq, Eq)]
pub struct GossipId {
    pub(crate) message: MessageId,
    pub(crate) source: PeerId,
}

impl fmt::Debug for GossipId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GossipId({} from {})", self.message, self.source)
    }
}

impl PubsubId<PeerId> for GossipId {
    fn propagation_source(&self) -> PeerId {
        self.source
    }
}

/// The message id all nodes agree on: SHA-256 over topic and data, so that one message is one
/// message, whoever publishes it.
pub(crate) fn message_id(topic: &str, data: &[u8]) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(topic.as_bytes());
    hash.update(data);
    MessageId::from(hash.finalize().to_vec())
}

/// The gossip behaviour with the settings of the network. Fails only if they contradict each other.
pub(crate) fn behaviour(peer_id: PeerId) -> Result<Gossipsub, String> {
    let config = gossipsub::ConfigBuilder::default()
        // What all members of the mesh have in common.
        .mesh_n_low(limits::GOSSIP_MESH_LOW)
        .validate_messages()
        .max_transmit_size(limits::MAX_GOSSIP_BYTES)
        .validation_mode(ValidationMode::Permissive)
        .heartbeat_interval(limits::GOSSIP_HEARTBEAT)
        .message_id_fn(|message| message_id(message.topic.as_str(), &message.data))
        // What bounds our memory and is nobody else's business.
        .max_messages_per_rpc(Some(limits::MAX_GOSSIP_MESSAGES_PER_RPC))
        .connection_handler_queue_len(limits::GOSSIP_SEND_QUEUE)
        .build()
        .map_err(|error| error.to_string())?;
    let filter = MaxCountSubscriptionFilter {
        filter: AllowAllSubscriptionFilter {},
        max_subscribed_topics: limits::MAX_GOSSIP_TOPICS_PER_PEER,
        max_subscriptions_per_request: limits::MAX_GOSSIP_TOPICS_PER_PEER,
    };
    // Nodes publish with their id, a random sequence number, and neither key nor signature.
    let mut gossip = Gossipsub::new_with_subscription_filter(
        MessageAuthenticity::Author(peer_id),
        config,
        filter,
    )?;
    let params = PeerScoreParams {
        ip_colocation_factor_threshold: 20.0,
        ..Default::default()
    };
    gossip.with_peer_score(params, PeerScoreThresholds::default())?;
    Ok(gossip)
}

/// How we judge others on a topic. Nodes also punish mesh members that deliver little. We don't: a
/// node whose mesh is full prunes us, and would then be ignored for seconds for what it didn't
/// deliver, while a light client has few other sources.
fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        ..Default::default()
    }
}

/// What a subscription asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicOptions {
    buffer: usize,
    pub(crate) validate: bool,
    limit: RateLimit,
    max_size: usize,
}

impl TopicOptions {
    pub(crate) fn of<T: Topic>() -> Self {
        Self {
            buffer: T::BUFFER_SIZE.clamp(1, limits::MAX_TOPIC_BUFFER),
            validate: T::VALIDATE,
            limit: RateLimit {
                max: T::MAX_MESSAGES,
                window: T::TIME_WINDOW,
            },
            max_size: T::MAX_MESSAGE_SIZE.min(limits::MAX_GOSSIP_BYTES),
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
    subscriptions: HashMap<TopicHash, Subscription>,
    limiter: RateLimiter<TopicHash>,
}

impl Topics {
    pub(crate) fn new() -> Self {
        Self {
            subscriptions: HashMap::new(),
            limiter: RateLimiter::new(limits::MAX_RATE_COUNTERS),
        }
    }

    pub(crate) fn subscribe(
        &mut self,
        gossip: &mut Gossipsub,
        name: String,
        options: TopicOptions,
    ) -> Result<mpsc::Receiver<Delivery>, NetworkError> {
        let topic = IdentTopic::new(name.clone());
        let refused = |reason: String| NetworkError::Subscribe {
            topic: name.clone(),
            reason,
        };
        match self.subscriptions.get(&topic.hash()) {
            Some(existing) if !existing.sender.is_closed() => {
                return Err(NetworkError::AlreadySubscribed(name));
            }
            // Its subscriber is gone without a word; the topic goes on with the new one.
            Some(_) => {}
            None if self.subscriptions.len() >= limits::MAX_OWN_TOPICS => {
                return Err(refused("too many topics".to_owned()));
            }
            None => {
                gossip
                    .subscribe(&topic)
                    .map_err(|error| refused(error.to_string()))?;
                gossip
                    .set_topic_params(topic.clone(), topic_score())
                    .map_err(|error| refused(error.to_owned()))?;
            }
        }
        let (sender, receiver) = mpsc::channel(options.buffer);
        self.subscriptions
            .insert(topic.hash(), Subscription { sender, options });
        Ok(receiver)
    }

    pub(crate) fn unsubscribe(
        &mut self,
        gossip: &mut Gossipsub,
        name: String,
    ) -> Result<(), NetworkError> {
        let topic = IdentTopic::new(name.clone());
        if self.subscriptions.remove(&topic.hash()).is_none() {
            return Err(NetworkError::NotSubscribed(name));
        }
        gossip.unsubscribe(&topic);
        Ok(())
    }

    /// Takes in a message, and reports its fate to gossip unless the subscriber is to decide.
    pub(crate) fn deliver(
        &mut self,
        gossip: &mut Gossipsub,
        id: GossipId,
        message: gossipsub::Message,
    ) -> Outcome {
        let (outcome, verdict) = self.route(gossip, &id, message);
        if let Some(verdict) = verdict {
            report(gossip, &id, verdict);
        }
        outcome
    }

    fn route(
        &mut self,
        gossip: &mut Gossipsub,
        id: &GossipId,
        message: gossipsub::Message,
    ) -> (Outcome, Option<MessageAcceptance>) {
        let Some(subscription) = self.subscriptions.get(&message.topic) else {
            return (Outcome::Ignored, Some(MessageAcceptance::Ignore));
        };
        let TopicOptions {
            limit,
            max_size,
            validate,
            ..
        } = subscription.options;
        if self
            .limiter
            .count(id.source, message.topic.clone(), limit, Instant::now())
            != Verdict::Allowed
        {
            return (Outcome::Ignored, Some(MessageAcceptance::Ignore));
        }
        if message.data.len() > max_size {
            return (Outcome::Oversized, Some(MessageAcceptance::Reject));
        }
        match subscription.sender.try_send((message.data, id.clone())) {
            Ok(()) if validate => (Outcome::Delivered, None),
            Ok(()) => (Outcome::Delivered, Some(MessageAcceptance::Accept)),
            Err(mpsc::error::TrySendError::Full(_)) => {
                (Outcome::Dropped, Some(MessageAcceptance::Ignore))
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                // Nobody listens any more, so nobody needs to send.
                self.subscriptions.remove(&message.topic);
                gossip.unsubscribe(&IdentTopic::new(message.topic.as_str()));
                (Outcome::Ignored, Some(MessageAcceptance::Ignore))
            }
        }
    }
}

/// Tells gossip whether a message is acceptable. Too late is no error: it is then in nobody's cache.
pub(crate) fn report(gossip: &mut Gossipsub, id: &GossipId, acceptance: MessageAcceptance) {
    if !gossip.report_message_validation_result(&id.message, &id.source, acceptance) {
        log::trace!("validation result for {id:?} came too late");
    }
}

/// Publishes a message. One that was published before is no error.
pub(crate) fn publish(
    gossip: &mut Gossipsub,
    name: String,
    data: Vec<u8>,
) -> Result<(), NetworkError> {
    match gossip.publish(IdentTopic::new(name.clone()), data) {
        Ok(_) | Err(PublishError::Duplicate) => Ok(()),
        Err(PublishError::NoPeersSubscribedToTopic) => Err(NetworkError::NoSubscribers(name)),
        Err(error) => Err(NetworkError::Publish {
            topic: name,
            reason: error.to_string(),
        }),
    }
}
