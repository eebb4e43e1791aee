//! What a server needs of a [`Network`] beyond what a client does: requests as bytes, to be handed on
//! without a look into them, an offer that changes, topics that go one way.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use libp2p::{Multiaddr, PeerId, request_response::InboundRequestId};
use nimiq_network_interface::{
    network::Topic,
    peer_info::Services,
    request::{InboundRequestError, OutboundRequestError, RequestError, RequestType, peek_type},
};
use nimiq_serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::{
    command::Command,
    error::NetworkError,
    gossip::Direction,
    handle::Network,
    interface::{GossipStream, subtopic},
    reqres::{
        codec::Payload,
        dispatch::{Incoming, Receiver},
        rate_limit::RateLimit,
    },
};

/// A request as it came.
#[derive(Debug)]
pub struct RawRequest {
    /// Who asks.
    pub peer: PeerId,
    /// By which it is answered.
    pub id: InboundRequestId,
    /// Its bytes: the type, and what is asked for.
    pub payload: Payload,
}

impl RawRequest {
    /// What kind of request it is. `None` if that can't be read.
    pub fn request_type(&self) -> Option<RequestType> {
        peek_type(self.payload.bytes()).ok()
    }
}

/// Requests of several types in the order in which they came.
#[derive(Debug)]
pub struct RawRequests {
    receiver: mpsc::Receiver<Incoming>,
    limited: Vec<(RequestType, Arc<AtomicU64>)>,
}

impl RawRequests {
    /// The next one; `None` once the network is closed.
    pub async fn next(&mut self) -> Option<RawRequest> {
        let (payload, id, peer) = self.receiver.recv().await?;
        Some(RawRequest { peer, id, payload })
    }

    /// For each type a counter of the requests that were refused because their sender went over its
    /// limit.
    pub fn limited(&self) -> Vec<(RequestType, Arc<AtomicU64>)> {
        self.limited.clone()
    }
}

/// What is answered to a request that can't be served.
pub fn refusal(error: InboundRequestError) -> Vec<u8> {
    Err::<(), _>(error).serialize_to_vec()
}

impl Network {
    /// Receives requests of these types as bytes, in place of whoever received them before. Beyond
    /// `queue` requests that nobody has taken yet, further ones are refused.
    ///
    /// # Errors
    /// If there are too many types that somebody receives, or the network is closed.
    pub fn receive_raw(
        &self,
        types: &[(RequestType, RateLimit)],
        queue: usize,
    ) -> Result<RawRequests, NetworkError> {
        if self.is_closed() {
            return Err(NetworkError::Closed);
        }
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let mut counters = Vec::new();
        for (request_type, limit) in types {
            let limited: Arc<AtomicU64> = Arc::default();
            counters.push((*request_type, Arc::clone(&limited)));
            let receiver = Receiver {
                sender: sender.clone(),
                limit: *limit,
                limited,
            };
            if !self.hub.receivers.register(*request_type, receiver) {
                return Err(NetworkError::TooManyReceivers);
            }
        }
        Ok(RawRequests {
            receiver,
            limited: counters,
        })
    }

    /// Sends a request that is bytes already, and returns the bytes of its answer, after at most
    /// [`crate::limits::REQUEST_TIMEOUT`].
    ///
    /// # Errors
    /// If there is no answer. That the answer says no is not known here.
    pub async fn request_raw(
        &self,
        peer: PeerId,
        payload: Vec<u8>,
    ) -> Result<Payload, RequestError> {
        let Ok(request_type) = peek_type(&payload) else {
            return Err(OutboundRequestError::SerializationError.into());
        };
        self.exchange(peer, request_type, payload).await
    }

    /// Answers a request with bytes. That it isn't waited for any more is nobody's fault, so nothing is
    /// said of it.
    pub async fn respond_raw(&self, id: InboundRequestId, payload: Arc<Vec<u8>>) {
        let (reply, _) = oneshot::channel();
        let payload = payload.into();
        self.tell(Command::Respond { id, payload, reply }).await;
    }

    /// Changes the services and addresses that others are told, at most
    /// [`crate::limits::MAX_ADDRESSES_PER_CONTACT`] of these. Who is connected already learns it with
    /// the next update.
    pub fn set_offer(&self, services: Services, addresses: Vec<Multiaddr>) {
        self.shared.set_offer(services, addresses);
    }

    /// Subscribes to a topic whose messages go one way.
    ///
    /// # Errors
    /// As with any subscription.
    pub async fn subscribe_one_way<T: Topic + Sync>(
        &self,
        direction: Direction,
    ) -> Result<GossipStream<T>, NetworkError> {
        self.subscribe_topic::<T>(T::NAME.to_owned(), direction)
            .await
    }

    /// Publishes a message on a subtopic to one peer alone, if that is subscribed.
    ///
    /// # Errors
    /// If it isn't, or the message is too large.
    pub async fn publish_subtopic_to<T: Topic>(
        &self,
        peer: PeerId,
        name: &str,
        item: T::Item,
    ) -> Result<(), NetworkError> {
        let topic = subtopic::<T>(name);
        let data = item.serialize_to_vec();
        self.ask(|reply| Command::Publish {
            topic,
            data,
            to: Some(peer),
            reply,
        })
        .await
        .ok_or(NetworkError::Closed)?
    }

    /// Peers that left because they broke the rules, since the network was made.
    pub fn offenders(&self) -> u64 {
        self.hub.offenders.load(Ordering::Relaxed)
    }
}
