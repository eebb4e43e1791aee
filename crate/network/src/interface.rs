//! [`Network`] as the engine sees it: the trait of the `nimiq-network-interface` crate.

use std::sync::Arc;

use futures::{StreamExt, stream::BoxStream};
use libp2p::{Multiaddr, PeerId, request_response::InboundRequestId};
use nimiq_network_interface::{
    network::{CloseReason, MsgAcceptance, Network as NetworkInterface, SubscribeEvents, Topic},
    peer_info::{PeerInfo, Services},
    request::{
        InboundRequestError, Message, OutboundRequestError, Request, RequestCommon, RequestError,
        RequestSerialize, RequestType,
    },
};
use nimiq_serde::{Deserialize, Serialize};
use nimiq_time::timeout;
use nimiq_utils::tagged_signing::{TaggedKeyPair, TaggedSignable};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    command::{Command, Feedback},
    error::{NetworkError, Violation},
    gossip::{Direction, GossipId, TopicOptions},
    handle::Network,
    limits,
    reqres::{codec::Payload, dispatch::Receiver, rate_limit::RateLimit},
};

pub(crate) type GossipStream<T> = BoxStream<'static, (<T as Topic>::Item, GossipId)>;

impl Network {
    /// Sends an encoded request and returns the encoded answer. Not generic, so that it exists once
    /// in the binary and not once for each type of request.
    pub(crate) async fn exchange(
        &self,
        peer: PeerId,
        request_type: RequestType,
        payload: Vec<u8>,
    ) -> Result<Payload, RequestError> {
        let exchange = async {
            let Ok(_permit) = self.requests_in_flight.acquire().await else {
                return Err(OutboundRequestError::SendError.into());
            };
            self.ask(|reply| Command::Request {
                peer,
                request_type,
                payload,
                reply,
            })
            .await
            .unwrap_or(Err(OutboundRequestError::SendError.into()))
        };
        match timeout(limits::REQUEST_TIMEOUT, exchange).await {
            Ok(result) => result,
            Err(_) => Err(OutboundRequestError::Timeout.into()),
        }
    }

    async fn request_any<Req: RequestCommon>(
        &self,
        request: Req,
        peer: PeerId,
    ) -> Result<Req::Response, RequestError> {
        let request_type = RequestType::from_request::<Req>();
        let payload = self
            .exchange(peer, request_type, request.serialize_request())
            .await?;
        // A large one takes a while.
        pace::turn().await;
        let decoded =
            <Result<Req::Response, InboundRequestError>>::deserialize_from_vec(payload.bytes());
        match decoded {
            Ok(result) => result.map_err(RequestError::from),
            Err(error) => {
                log::debug!("response of {peer} to request {request_type}: {error}");
                let violation = Violation::MalformedResponse(request_type.type_id());
                self.feedback()
                    .send(Feedback::Violation { peer, violation });
                Err(InboundRequestError::DeSerializationError.into())
            }
        }
    }

    fn receive_any<Req: RequestCommon>(
        &self,
    ) -> BoxStream<'static, (Req, InboundRequestId, PeerId)> {
        let (sender, receiver) = mpsc::channel(limits::REQUEST_QUEUE);
        let request_type = RequestType::from_request::<Req>();
        let limit = RateLimit {
            max: Req::MAX_REQUESTS,
            window: Req::TIME_WINDOW,
        };
        if self.is_closed()
            || !self.hub.receivers.register(
                request_type,
                Receiver {
                    sender,
                    limit,
                    limited: Arc::default(),
                },
            )
        {
            log::warn!("no receiver can be registered for requests of type {request_type}");
            return futures::stream::empty().boxed();
        }
        let feedback = self.feedback();
        ReceiverStream::new(receiver)
            .filter_map(move |(payload, id, peer)| {
                let request = Req::deserialize_request(payload.bytes());
                if let Err(error) = &request {
                    log::debug!("request {request_type} of {peer}: {error}");
                    let violation = Violation::MalformedRequest(Some(request_type.type_id()));
                    feedback.send(Feedback::Violation { peer, violation });
                }
                std::future::ready(request.ok().map(|request| (request, id, peer)))
            })
            .boxed()
    }

    pub(crate) async fn subscribe_topic<T: Topic + Sync>(
        &self,
        topic: String,
        direction: Direction,
    ) -> Result<GossipStream<T>, NetworkError> {
        let options = TopicOptions::of::<T>(direction);
        let name = topic.clone();
        let receiver = self
            .ask(|reply| Command::Subscribe {
                topic,
                options,
                reply,
            })
            .await
            .ok_or(NetworkError::Closed)??;
        let feedback = self.feedback();
        let stream = ReceiverStream::new(receiver).filter_map(move |(data, id)| {
            let item = T::Item::deserialize_from_vec(&data);
            if let Err(error) = &item {
                log::debug!("gossip on {name} from {}: {error}", id.source);
                feedback.send(Feedback::Undecodable {
                    id: id.clone(),
                    topic: name.clone(),
                    validate: options.validate,
                });
            }
            std::future::ready(item.ok().map(|item| (item, id)))
        });
        Ok(stream.boxed())
    }

    async fn unsubscribe_topic(&self, topic: String) -> Result<(), NetworkError> {
        self.ask(|reply| Command::Unsubscribe { topic, reply })
            .await
            .ok_or(NetworkError::Closed)?
    }

    async fn publish_topic(&self, topic: String, data: Vec<u8>) -> Result<(), NetworkError> {
        self.ask(|reply| Command::Publish {
            topic,
            data,
            to: None,
            reply,
        })
        .await
        .ok_or(NetworkError::Closed)?
    }

    /// Waits until enough peers with these services are connected.
    async fn wait_for_services(&self, services: Services, count: usize) -> Vec<PeerId> {
        let mut events = self.events();
        loop {
            let peers = self.hub.peers.with_services(services);
            if peers.len() >= count {
                return peers;
            }
            // Missed events don't matter, for the table is looked at anyway.
            if events.next().await.is_none() {
                return peers;
            }
        }
    }
}

pub(crate) fn subtopic<T: Topic>(subtopic: &str) -> String {
    format!("{}_{subtopic}", T::NAME)
}

impl NetworkInterface for Network {
    type PeerId = PeerId;
    type AddressType = Multiaddr;
    type Error = NetworkError;
    type PubsubId = GossipId;
    type RequestId = InboundRequestId;

    fn get_peers(&self) -> Vec<PeerId> {
        self.hub.peers.ids()
    }

    fn has_peer(&self, peer_id: PeerId) -> bool {
        self.hub.peers.contains(&peer_id)
    }

    fn get_peer_info(&self, peer_id: PeerId) -> Option<PeerInfo> {
        self.hub.peers.info(&peer_id)
    }

    /// Dials peers of the contact book if too few of those connected offer the services, and gives
    /// them as long as a request takes to become connected.
    async fn get_peers_by_services(
        &self,
        services: Services,
        min_peers: usize,
    ) -> Result<Vec<PeerId>, NetworkError> {
        let peers = self.hub.peers.with_services(services);
        if peers.len() >= min_peers {
            return Ok(peers);
        }
        let wait = self.wait_for_services(services, min_peers);
        let count = min_peers - peers.len();
        if !self.tell(Command::DialByServices { services, count }).await {
            return Err(NetworkError::Closed);
        }
        match timeout(limits::REQUEST_TIMEOUT, wait).await {
            Ok(peers) if peers.len() >= min_peers => Ok(peers),
            _ => Err(NetworkError::PeersNotFound),
        }
    }

    fn peer_provides_required_services(&self, peer_id: PeerId) -> bool {
        self.hub.peers.offers(&peer_id, self.required_services)
    }

    fn peer_provides_services(&self, peer_id: PeerId, services: Services) -> bool {
        self.hub.peers.offers(&peer_id, services)
    }

    async fn disconnect_peer(&self, peer_id: PeerId, close_reason: CloseReason) {
        self.disconnect_for(peer_id, close_reason).await;
    }

    fn subscribe_events(&self) -> SubscribeEvents<PeerId> {
        self.events()
    }

    async fn subscribe<T: Topic + Sync>(&self) -> Result<GossipStream<T>, NetworkError> {
        self.subscribe_topic::<T>(T::NAME.to_owned(), Direction::All)
            .await
    }

    async fn unsubscribe<T: Topic + Sync>(&self) -> Result<(), NetworkError> {
        self.unsubscribe_topic(T::NAME.to_owned()).await
    }

    async fn publish<T: Topic + Sync>(&self, item: T::Item) -> Result<(), NetworkError> {
        self.publish_topic(T::NAME.to_owned(), item.serialize_to_vec())
            .await
    }

    async fn subscribe_subtopic<T: Topic + Sync>(
        &self,
        name: String,
    ) -> Result<GossipStream<T>, NetworkError> {
        self.subscribe_topic::<T>(subtopic::<T>(&name), Direction::All)
            .await
    }

    async fn unsubscribe_subtopic<T: Topic + Sync>(
        &self,
        name: String,
    ) -> Result<(), NetworkError> {
        self.unsubscribe_topic(subtopic::<T>(&name)).await
    }

    async fn publish_subtopic<T: Topic + Sync>(
        &self,
        name: String,
        item: T::Item,
    ) -> Result<(), NetworkError> {
        self.publish_topic(subtopic::<T>(&name), item.serialize_to_vec())
            .await
    }

    fn validate_message<T: Topic + Sync>(&self, id: GossipId, acceptance: MsgAcceptance) {
        self.feedback().send(Feedback::Validated { id, acceptance });
    }

    async fn dht_get<K, V, T>(&self, _: &K) -> Result<Option<V>, NetworkError>
    where
        K: AsRef<[u8]> + Send + Sync,
        V: Deserialize + Send + Sync + TaggedSignable + Ord,
        T: TaggedKeyPair + Send + Sync + Serialize + Deserialize,
    {
        Err(NetworkError::Unsupported)
    }

    async fn dht_put<K, V, T>(&self, _: &K, _: &V, _: &T) -> Result<(), NetworkError>
    where
        K: AsRef<[u8]> + Send + Sync,
        V: Serialize + Send + Sync + TaggedSignable + Clone + Ord,
        T: TaggedKeyPair + Send + Sync + Serialize + Deserialize,
    {
        Err(NetworkError::Unsupported)
    }

    async fn dial_peer(&self, peer_id: PeerId) -> Result<(), NetworkError> {
        self.dial_known(peer_id).await?;
        Ok(())
    }

    async fn dial_address(&self, address: Multiaddr) -> Result<(), NetworkError> {
        self.dial(address).await?;
        Ok(())
    }

    fn get_local_peer_id(&self) -> PeerId {
        self.local_peer_id
    }

    async fn message<M: Message>(&self, message: M, peer_id: PeerId) -> Result<(), RequestError> {
        self.request_any(message, peer_id).await
    }

    async fn request<Req: Request>(
        &self,
        request: Req,
        peer_id: PeerId,
    ) -> Result<Req::Response, RequestError> {
        self.request_any(request, peer_id).await
    }

    fn receive_messages<M: Message>(&self) -> BoxStream<'static, (M, PeerId)> {
        self.receive_any::<M>()
            .map(|(message, _, peer)| (message, peer))
            .boxed()
    }

    fn receive_requests<Req: Request>(
        &self,
    ) -> BoxStream<'static, (Req, InboundRequestId, PeerId)> {
        self.receive_any::<Req>()
    }

    async fn respond<Req: Request>(
        &self,
        id: InboundRequestId,
        response: Req::Response,
    ) -> Result<(), NetworkError> {
        let response: Result<Req::Response, InboundRequestError> = Ok(response);
        let payload = response.serialize_to_vec().into();
        self.ask(|reply| Command::Respond { id, payload, reply })
            .await
            .ok_or(NetworkError::Closed)?
    }
}
