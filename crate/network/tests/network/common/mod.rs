//! Peers for the tests: real `nimiq-network-libp2p` networks and our own, on ports of the system's
//! choice, and messages for them to exchange.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod raw;

use std::{future::Future, num::NonZeroU8, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use libp2p::{Multiaddr, PeerId, identity::Keypair, multiaddr::Protocol};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{
    network::{Network as _, NetworkEvent, Topic},
    peer_info::{NodeType, Services},
    request::{MessageMarker, RequestCommon, RequestMarker},
};
use nimiq_network_libp2p::{
    Config as NodeConfig, Network as Node, discovery::peer_contacts::PeerContact,
};
use pico_network::{Config, Network, NetworkNotice};
use serde::{Deserialize, Serialize};

/// Longest wait for anything that should happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that should happen.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited too long for {what}"),
    }
}

pub fn genesis() -> Blake2bHash {
    Blake2bHash::from([7; 32])
}

pub fn listen_address() -> Multiaddr {
    "/ip4/127.0.0.1/tcp/0/ws".parse().unwrap()
}

/// Services of a history node.
pub fn full() -> Services {
    Services::provided(NodeType::History)
}

pub fn now_secs() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

pub fn node_config(services: Services, genesis: Blake2bHash) -> NodeConfig {
    let keypair = Keypair::generate_ed25519();
    let contact = PeerContact::new([], keypair.public(), services, now_secs()).unwrap();
    NodeConfig::new(
        keypair,
        contact,
        vec![],
        genesis,
        false,
        Services::empty(),
        None,
        12,
        4000,
        4000,
        4000,
        false,
        1,
        true,
        NonZeroU8::new(1).unwrap(),
        1024,
    )
}

/// A real node's network, listening; and where.
pub async fn node_with(services: Services, genesis: Blake2bHash) -> (Node, Multiaddr) {
    let node = Node::new(node_config(services, genesis), ()).await;
    node.listen_on(vec![listen_address()]).await.unwrap();
    let address = soon("the node's address", async {
        loop {
            // It has no event for this.
            if let Some(address) = node.get_own_addresses().first() {
                return address.clone();
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    (node, address)
}

/// A real history node's network.
pub async fn node() -> (Node, Multiaddr) {
    node_with(full(), genesis()).await
}

pub fn config(seeds: Vec<Multiaddr>) -> Config {
    let mut config = Config::new(Keypair::generate_ed25519(), genesis(), seeds);
    config.allow_loopback = true;
    config
}

/// A network of ours that dials nobody by itself.
pub fn pico() -> Arc<Network> {
    Network::new(config(vec![])).unwrap()
}

/// A network of ours that listens.
pub async fn listening_pico(services: Services) -> (Arc<Network>, Multiaddr) {
    let mut config = config(vec![]);
    config.provided_services = services;
    let network = Network::new(config).unwrap();
    let address = network.listen_on(listen_address()).await.unwrap();
    (network, address)
}

pub fn with_peer(address: &Multiaddr, peer: PeerId) -> Multiaddr {
    address.clone().with(Protocol::P2p(peer))
}

/// The next event that is a join or leave.
pub async fn next_event<S, E>(events: &mut S) -> NetworkEvent<PeerId>
where
    S: Stream<Item = Result<NetworkEvent<PeerId>, E>> + Unpin,
{
    soon("a network event", async {
        loop {
            match events.next().await.expect("the stream goes on") {
                Ok(NetworkEvent::DhtReady) | Err(_) => {}
                Ok(event) => return event,
            }
        }
    })
    .await
}

pub async fn joined<S, E>(events: &mut S) -> PeerId
where
    S: Stream<Item = Result<NetworkEvent<PeerId>, E>> + Unpin,
{
    match next_event(events).await {
        NetworkEvent::PeerJoined(peer, _) => peer,
        event => panic!("expected a join, got {event:?}"),
    }
}

pub async fn left<S, E>(events: &mut S) -> PeerId
where
    S: Stream<Item = Result<NetworkEvent<PeerId>, E>> + Unpin,
{
    match next_event(events).await {
        NetworkEvent::PeerLeft(peer) => peer,
        event => panic!("expected a leave, got {event:?}"),
    }
}

/// The next notice.
pub async fn notice<S, E>(notices: &mut S) -> NetworkNotice
where
    S: Stream<Item = Result<NetworkNotice, E>> + Unpin,
    E: std::fmt::Debug,
{
    soon("a notice", async { notices.next().await.unwrap().unwrap() }).await
}

/// Connects ours to a node, and waits until both have noticed.
pub async fn connect(pico: &Network, node: &Node, address: &Multiaddr) {
    let mut events = node.subscribe_events();
    let peer = soon("the dial", pico.dial(address.clone())).await.unwrap();
    assert_eq!(peer, node.get_local_peer_id());
    assert_eq!(joined(&mut events).await, pico.get_local_peer_id());
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub number: u64,
    pub padding: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub number: u64,
    pub padding: Vec<u8>,
}

impl RequestCommon for Question {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 900;
    type Response = Answer;
    const MAX_REQUESTS: u32 = 20;
}

/// The same type id with another body, as a peer would send that doesn't know better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MisshapenQuestion;

impl RequestCommon for MisshapenQuestion {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 900;
    type Response = MisshapenAnswer;
    const MAX_REQUESTS: u32 = 1000;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MisshapenAnswer;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    pub text: String,
}

impl RequestCommon for Remark {
    type Kind = MessageMarker;
    const TYPE_ID: u16 = 901;
    type Response = ();
    const MAX_REQUESTS: u32 = 20;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    pub text: String,
}

pub struct NewsTopic;

impl Topic for NewsTopic {
    type Item = News;
    const BUFFER_SIZE: usize = 4;
    const NAME: &'static str = "news";
    const VALIDATE: bool = true;
    const MAX_MESSAGES: u32 = 1000;
    const MAX_MESSAGE_SIZE: usize = 1000;
}

/// The same topic with items that no [`NewsTopic`] subscriber can decode.
pub struct GarbageTopic;

impl Topic for GarbageTopic {
    type Item = Vec<u8>;
    const BUFFER_SIZE: usize = 4;
    const NAME: &'static str = "news";
    const VALIDATE: bool = true;
    const MAX_MESSAGES: u32 = 1000;
}

/// Asks the node something, to see that the connection between the two works.
pub async fn assert_well(pico: &Network, node: &Node) {
    let mut questions = node.receive_requests::<Question>();
    let question = Question {
        number: 5,
        padding: vec![],
    };
    soon("an honest answer", async {
        let exchange = async {
            loop {
                // The node registers its receiver when its stream is polled first.
                match pico
                    .request(question.clone(), node.get_local_peer_id())
                    .await
                {
                    Ok(answer) => return answer,
                    Err(error) => assert!(error.to_string().contains("No receiver"), "{error}"),
                }
            }
        };
        let answer = async {
            let (question, id, _) = questions.next().await.unwrap();
            let answer = Answer {
                number: question.number + 1,
                padding: vec![],
            };
            node.respond::<Question>(id, answer).await.unwrap();
        };
        let (answer, ()) = tokio::join!(exchange, answer);
        assert_eq!(answer.number, 6);
    })
    .await;
}
