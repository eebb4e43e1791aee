//! A network in memory. Its peers answer as their scripts say, in virtual time, over the wire
//! encoding of the real one; what the engine does to them is written down.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream::BoxStream};
use nimiq_hash::Blake2bHash;
use nimiq_keys::Address;
use nimiq_network_interface::{
    Multiaddr,
    network::{
        CloseReason, MsgAcceptance, Network, NetworkEvent, PubsubId, SubscribeEvents, Topic,
    },
    peer_info::{NodeType, PeerInfo, Services},
    request::{Message, OutboundRequestError, Request, RequestCommon, RequestError},
};
use nimiq_serde::{Deserialize, Serialize};
use nimiq_utils::tagged_signing::{TaggedKeyPair, TaggedSignable};
use parking_lot::Mutex;
use pico_sync::messages::{
    AddressNotification, AddressSubscriptionOperation, AddressSubscriptionTopic,
    BlockHeaderMessage, BlockHeaderTopic, NotificationEvent, RequestSubscribeToAddress,
    SubscribeToAddressesError,
};
use thiserror::Error;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio_stream::wrappers::{BroadcastStream, ReceiverStream};

use super::peer::{Peer, Question, Reply};

/// Names a scripted peer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PeerId(pub u32);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

/// Names a gossiped message, and who passed it on.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MessageId {
    pub number: u64,
    pub source: PeerId,
}

impl PubsubId<PeerId> for MessageId {
    fn propagation_source(&self) -> PeerId {
        self.source
    }
}

/// What this network can't do.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
#[error("not in this network")]
pub struct Unsupported;

/// Why the engine closed a connection, in comparable form.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Closed {
    Banned,
    Failed,
    Other,
}

struct Connection {
    peer: Arc<Peer>,
    /// Turns true when it is closed.
    closed: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    connections: BTreeMap<PeerId, Connection>,
    banned: BTreeSet<PeerId>,
    closed_by_engine: Vec<(PeerId, Closed)>,
    verdicts: BTreeMap<u64, &'static str>,
    /// Requests that were made, by peer and kind.
    requests: HashMap<(PeerId, &'static str), usize>,
    gossip: VecDeque<mpsc::Sender<(BlockHeaderMessage, MessageId)>>,
    /// Who hears notifications of transactions, as they travel.
    notified: Option<mpsc::Sender<(Vec<u8>, MessageId)>>,
    /// Which addresses each connected peer was asked to notify of.
    subscriptions: BTreeMap<PeerId, BTreeSet<Address>>,
    /// What was published: topic, and the message as it travels.
    published: Vec<(&'static str, Vec<u8>)>,
    /// Whether nobody listens to what is published.
    deaf: bool,
    in_flight: usize,
    most_in_flight: usize,
}

/// See the module's documentation.
pub struct MemoryNetwork {
    state: Mutex<State>,
    events: broadcast::Sender<NetworkEvent<PeerId>>,
    messages: AtomicU64,
    /// Notified of each verdict on a gossiped message and of each closed connection.
    changed: Notify,
}

impl MemoryNetwork {
    pub fn new() -> Arc<Self> {
        Self::with_event_capacity(1024)
    }

    /// A network whose event subscribers may fall behind by only so many events.
    pub fn with_event_capacity(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            events: broadcast::Sender::new(capacity),
            messages: AtomicU64::new(0),
            changed: Notify::new(),
        })
    }

    /// Connects a peer, unless it is banned. A peer that is connected joins once more, as happens
    /// when two connections to it come about.
    pub fn join(&self, peer: &Arc<Peer>) -> bool {
        let id = peer.id;
        {
            let mut state = self.state.lock();
            if state.banned.contains(&id) {
                return false;
            }
            state.connections.entry(id).or_insert_with(|| Connection {
                peer: peer.clone(),
                closed: watch::Sender::new(false),
            });
        }
        let info = PeerInfo::new(Multiaddr::empty(), peer.services);
        let _ = self.events.send(NetworkEvent::PeerJoined(id, info));
        true
    }

    /// Closes the connection of a peer, as if the peer had done so.
    pub fn leave(&self, id: PeerId) {
        let connection = {
            let mut state = self.state.lock();
            // Nodes forget the subscriptions of those who leave.
            state.subscriptions.remove(&id);
            state.connections.remove(&id)
        };
        if let Some(connection) = connection {
            connection.closed.send_replace(true);
            let _ = self.events.send(NetworkEvent::PeerLeft(id));
            self.changed.notify_waiters();
        }
    }

    /// Emits an event that means nothing, to make slow subscribers lag.
    pub fn noise(&self) {
        let _ = self.events.send(NetworkEvent::DhtReady);
    }

    /// Gossips a header from `source`. Waits while the subscriber has no room.
    pub async fn gossip(&self, source: PeerId, header: BlockHeaderMessage) -> MessageId {
        let id = MessageId {
            number: self.messages.fetch_add(1, Ordering::Relaxed),
            source,
        };
        // Over the wire and back, as a real one.
        let header = BlockHeaderMessage::deserialize_from_vec(&header.serialize_to_vec()).unwrap();
        let senders: Vec<_> = self.state.lock().gossip.iter().cloned().collect();
        if senders.is_empty() {
            self.state.lock().verdicts.insert(id.number, "unheard");
        }
        for sender in senders {
            let _ = sender.send((header.clone(), id)).await;
        }
        id
    }

    /// Notifies of transactions in blocks, as `source` would, if that is heard.
    pub async fn notify(&self, source: PeerId, receipts: Vec<(Blake2bHash, u32)>) {
        let id = MessageId {
            number: self.messages.fetch_add(1, Ordering::Relaxed),
            source,
        };
        let notification = AddressNotification {
            event: NotificationEvent::BlockchainExtend,
            receipts,
        };
        let sender = self.state.lock().notified.clone();
        if let Some(sender) = sender {
            let _ = sender.send((notification.serialize_to_vec(), id)).await;
        }
    }

    /// Whether notifications are heard at all.
    pub fn hears_notifications(&self) -> bool {
        let state = self.state.lock();
        state
            .notified
            .as_ref()
            .is_some_and(|sender| !sender.is_closed())
    }

    /// The addresses that a peer notifies of.
    pub fn subscribed_at(&self, id: PeerId) -> BTreeSet<Address> {
        let state = self.state.lock();
        state.subscriptions.get(&id).cloned().unwrap_or_default()
    }

    /// What was published, oldest first.
    pub fn published(&self) -> Vec<(&'static str, Vec<u8>)> {
        self.state.lock().published.clone()
    }

    /// Whether nobody listens to what is published.
    pub fn set_deaf(&self, deaf: bool) {
        self.state.lock().deaf = deaf;
    }

    /// What the engine made of a gossiped message, once it has made up its mind.
    pub async fn verdict(&self, id: MessageId) -> &'static str {
        self.wait("a verdict", |state| state.verdicts.get(&id.number).copied())
            .await
    }

    /// Numbers of the messages that still wait for their verdict.
    pub fn undecided(&self) -> Vec<u64> {
        let state = self.state.lock();
        (0..self.messages.load(Ordering::Relaxed))
            .filter(|number| !state.verdicts.contains_key(number))
            .collect()
    }

    /// Resolves once a peer is banned.
    pub async fn banned(&self, id: PeerId) {
        self.wait(&format!("{id} to be banned"), |state| {
            state.banned.contains(&id).then_some(())
        })
        .await;
    }

    pub fn is_banned(&self, id: PeerId) -> bool {
        self.state.lock().banned.contains(&id)
    }

    /// Every peer that is banned.
    pub fn bans(&self) -> Vec<PeerId> {
        self.state.lock().banned.iter().copied().collect()
    }

    /// Connections that the engine closed, in order.
    pub fn closed_by_engine(&self) -> Vec<(PeerId, Closed)> {
        self.state.lock().closed_by_engine.clone()
    }

    /// How often a peer was asked for something.
    pub fn requests_to(&self, id: PeerId, kind: &'static str) -> usize {
        self.state
            .lock()
            .requests
            .get(&(id, kind))
            .copied()
            .unwrap_or(0)
    }

    /// How many requests were made in all.
    pub fn requests(&self) -> usize {
        self.state.lock().requests.values().sum()
    }

    /// The most requests that ever waited for an answer at the same time.
    pub fn most_in_flight(&self) -> usize {
        self.state.lock().most_in_flight
    }

    async fn wait<R>(&self, what: &str, mut look: impl FnMut(&State) -> Option<R>) -> R {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if let Some(found) = look(&self.state.lock()) {
                    return found;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), waiting)
            .await
            .unwrap_or_else(|_| panic!("waited too long for {what}"))
    }

    fn connection(&self, id: PeerId) -> Option<(Arc<Peer>, watch::Receiver<bool>)> {
        let state = self.state.lock();
        let connection = state.connections.get(&id)?;
        Some((connection.peer.clone(), connection.closed.subscribe()))
    }

    /// Keeps the subscriptions that a peer agrees to, as long as there are not too many.
    fn noted(&self, question: &Question, id: PeerId, reply: Vec<u8>) -> Vec<u8> {
        let agreed = Ok::<(), SubscribeToAddressesError>(()).serialize_to_vec();
        let Some(request) = question.is::<RequestSubscribeToAddress>() else {
            return reply;
        };
        if reply != agreed {
            return reply;
        }
        let refused = |why: SubscribeToAddressesError| Err::<(), _>(why).serialize_to_vec();
        let mut state = self.state.lock();
        let mut addresses = state.subscriptions.get(&id).cloned().unwrap_or_default();
        match request.operation {
            AddressSubscriptionOperation::Subscribe => addresses.extend(request.addresses),
            AddressSubscriptionOperation::Unsubscribe if addresses.is_empty() => {
                return refused(SubscribeToAddressesError::InvalidOperation);
            }
            AddressSubscriptionOperation::Unsubscribe => {
                addresses.retain(|address| !request.addresses.contains(address));
            }
        }
        if addresses.len() > 250 {
            return refused(SubscribeToAddressesError::TooManyAddresses);
        }
        state.subscriptions.insert(id, addresses);
        drop(state);
        self.changed.notify_waiters();
        reply
    }

    /// Resolves once so many peers notify of an address.
    pub async fn subscribed(&self, address: &Address, peers: usize) {
        self.wait("a subscription", |state| {
            let notifying = state.subscriptions.values();
            let count = notifying.filter(|list| list.contains(address)).count();
            (count >= peers).then_some(())
        })
        .await;
    }

    async fn ask(&self, question: Question, id: PeerId) -> Result<Vec<u8>, RequestError> {
        let closed = || RequestError::OutboundRequest(OutboundRequestError::ConnectionClosed);
        let (peer, mut gone) = self.connection(id).ok_or_else(closed)?;
        *self
            .state
            .lock()
            .requests
            .entry((id, question.kind()))
            .or_default() += 1;
        let answer = async {
            let (delay, reply) = peer.answer(&question);
            tokio::time::sleep(delay).await;
            match reply {
                Reply::Never => futures::future::pending().await,
                Reply::Closes => {
                    self.leave(id);
                    Err(closed())
                }
                Reply::Refused(error) => Err(RequestError::InboundRequest(error)),
                reply => Ok(self.noted(&question, id, reply.to_bytes())),
            }
        };
        tokio::select! {
            biased;
            _ = gone.wait_for(|gone| *gone) => Err(closed()),
            answer = answer => answer,
        }
    }
}

/// Counts a request as long as it lasts, also if it is dropped.
struct InFlight<'a>(&'a MemoryNetwork);

impl<'a> InFlight<'a> {
    fn new(network: &'a MemoryNetwork) -> Self {
        let mut state = network.state.lock();
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
        drop(state);
        Self(network)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.state.lock().in_flight -= 1;
    }
}

impl Network for MemoryNetwork {
    type PeerId = PeerId;
    type AddressType = Multiaddr;
    type Error = Unsupported;
    type PubsubId = MessageId;
    type RequestId = u64;

    fn get_peers(&self) -> Vec<PeerId> {
        self.state.lock().connections.keys().copied().collect()
    }

    fn has_peer(&self, id: PeerId) -> bool {
        self.state.lock().connections.contains_key(&id)
    }

    fn get_peer_info(&self, id: PeerId) -> Option<PeerInfo> {
        let (peer, _) = self.connection(id)?;
        Some(PeerInfo::new(Multiaddr::empty(), peer.services))
    }

    async fn get_peers_by_services(
        &self,
        services: Services,
        _min_peers: usize,
    ) -> Result<Vec<PeerId>, Unsupported> {
        Ok(self
            .get_peers()
            .into_iter()
            .filter(|peer| self.peer_provides_services(*peer, services))
            .collect())
    }

    fn peer_provides_required_services(&self, id: PeerId) -> bool {
        self.peer_provides_services(id, Services::required(NodeType::Pico))
    }

    fn peer_provides_services(&self, id: PeerId, services: Services) -> bool {
        self.connection(id)
            .is_some_and(|(peer, _)| peer.services.contains(services))
    }

    async fn disconnect_peer(&self, id: PeerId, reason: CloseReason) {
        {
            let mut state = self.state.lock();
            let reason = match reason {
                CloseReason::MaliciousPeer => Closed::Banned,
                CloseReason::Error => Closed::Failed,
                _ => Closed::Other,
            };
            if reason == Closed::Banned {
                state.banned.insert(id);
            }
            if state.connections.contains_key(&id) {
                state.closed_by_engine.push((id, reason));
            }
        }
        self.leave(id);
        self.changed.notify_waiters();
    }

    fn subscribe_events(&self) -> SubscribeEvents<PeerId> {
        BroadcastStream::new(self.events.subscribe()).boxed()
    }

    async fn subscribe<T: Topic + Sync>(
        &self,
    ) -> Result<BoxStream<'static, (T::Item, MessageId)>, Unsupported> {
        if T::NAME != BlockHeaderTopic::NAME {
            return Err(Unsupported);
        }
        let (sender, receiver) = mpsc::channel(T::BUFFER_SIZE);
        self.state.lock().gossip.push_back(sender);
        Ok(ReceiverStream::new(receiver)
            .filter_map(|(header, id)| async move {
                let item = T::Item::deserialize_from_vec(&header.serialize_to_vec()).ok()?;
                Some((item, id))
            })
            .boxed())
    }

    async fn unsubscribe<T: Topic + Sync>(&self) -> Result<(), Unsupported> {
        Err(Unsupported)
    }

    async fn publish<T: Topic + Sync>(&self, item: T::Item) -> Result<(), Unsupported> {
        let mut state = self.state.lock();
        if state.deaf || state.connections.is_empty() {
            return Err(Unsupported);
        }
        state.published.push((T::NAME, item.serialize_to_vec()));
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    async fn subscribe_subtopic<T: Topic + Sync>(
        &self,
        subtopic: String,
    ) -> Result<BoxStream<'static, (T::Item, MessageId)>, Unsupported> {
        if T::NAME != AddressSubscriptionTopic::NAME || subtopic != PeerId(0).to_string() {
            return Err(Unsupported);
        }
        let (sender, receiver) = mpsc::channel(T::BUFFER_SIZE);
        self.state.lock().notified = Some(sender);
        Ok(ReceiverStream::new(receiver)
            .filter_map(|(bytes, id): (Vec<u8>, _)| async move {
                let item = T::Item::deserialize_from_vec(&bytes).ok()?;
                Some((item, id))
            })
            .boxed())
    }

    async fn unsubscribe_subtopic<T: Topic + Sync>(
        &self,
        _subtopic: String,
    ) -> Result<(), Unsupported> {
        self.state.lock().notified = None;
        Ok(())
    }

    async fn publish_subtopic<T: Topic + Sync>(
        &self,
        _subtopic: String,
        _item: T::Item,
    ) -> Result<(), Unsupported> {
        Err(Unsupported)
    }

    fn validate_message<T: Topic + Sync>(&self, id: MessageId, acceptance: MsgAcceptance) {
        let verdict = match acceptance {
            MsgAcceptance::Accept => "accept",
            MsgAcceptance::Reject => "reject",
            MsgAcceptance::Ignore => "ignore",
        };
        let before = self.state.lock().verdicts.insert(id.number, verdict);
        assert_eq!(before, None, "a second verdict on one message");
        self.changed.notify_waiters();
    }

    async fn dht_get<K, V, T>(&self, _key: &K) -> Result<Option<V>, Unsupported>
    where
        K: AsRef<[u8]> + Send + Sync,
        V: Deserialize + Send + Sync + TaggedSignable + Ord,
        T: TaggedKeyPair + Send + Sync + Serialize + Deserialize,
    {
        Err(Unsupported)
    }

    async fn dht_put<K, V, T>(&self, _key: &K, _value: &V, _pair: &T) -> Result<(), Unsupported>
    where
        K: AsRef<[u8]> + Send + Sync,
        V: Serialize + Send + Sync + TaggedSignable + Clone + Ord,
        T: TaggedKeyPair + Send + Sync + Serialize + Deserialize,
    {
        Err(Unsupported)
    }

    async fn dial_peer(&self, _id: PeerId) -> Result<(), Unsupported> {
        Err(Unsupported)
    }

    async fn dial_address(&self, _address: Multiaddr) -> Result<(), Unsupported> {
        Err(Unsupported)
    }

    fn get_local_peer_id(&self) -> PeerId {
        PeerId(0)
    }

    async fn message<M: Message>(&self, _message: M, _id: PeerId) -> Result<(), RequestError> {
        Err(OutboundRequestError::UnsupportedProtocols.into())
    }

    async fn request<Req: Request>(
        &self,
        request: Req,
        id: PeerId,
    ) -> Result<<Req as RequestCommon>::Response, RequestError> {
        let question = Question::decode(&request).expect("a request that nodes know");
        let _counted = InFlight::new(self);
        let bytes = self.ask(question, id).await?;
        // What a real network says of an answer that it can't decode.
        Req::Response::deserialize_from_vec(&bytes)
            .map_err(|_| OutboundRequestError::Other("the answer can't be decoded".into()).into())
    }

    fn receive_messages<M: Message>(&self) -> BoxStream<'static, (M, PeerId)> {
        futures::stream::pending().boxed()
    }

    fn receive_requests<Req: Request>(&self) -> BoxStream<'static, (Req, u64, PeerId)> {
        futures::stream::pending().boxed()
    }

    async fn respond<Req: Request>(
        &self,
        _id: u64,
        _response: <Req as RequestCommon>::Response,
    ) -> Result<(), Unsupported> {
        Err(Unsupported)
    }
}
