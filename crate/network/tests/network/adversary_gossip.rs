//! Peers that misbehave in gossip, and subscribers that are slow.

use std::{sync::Arc, time::Duration};

use crate::common::{raw::*, *};
use futures::{AsyncWriteExt, StreamExt, stream::BoxStream};
use nimiq_network_interface::network::{MsgAcceptance, Network as _, Topic};
use nimiq_network_libp2p::Network as Node;
use pico_network::{GossipId, LeaveReason, Network, NetworkNotice, Violation, limits};

/// Our subscription to the news. The trait's method, not the one of the same name for notices.
async fn subscribe(pico: &Network) -> BoxStream<'static, (News, GossipId)> {
    nimiq_network_interface::network::Network::subscribe::<NewsTopic>(pico)
        .await
        .unwrap()
}

async fn publish<T: Topic + Sync>(node: &Node, item: impl Fn() -> T::Item) {
    soon("a subscriber", async {
        while node.publish::<T>(item()).await.is_err() {
            // The subscription is on its way, and its arrival is no event.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

fn news(text: &str) -> News {
    News {
        text: text.to_owned(),
    }
}

async fn scene() -> (Arc<Network>, Node, BoxStream<'static, (News, GossipId)>) {
    let (node, address) = node().await;
    let pico = pico();
    let stream = subscribe(&pico).await;
    connect(&pico, &node, &address).await;
    (pico, node, stream)
}

/// Why the liar left.
async fn cause(notices: &mut pico_network::NoticeStream) -> LeaveReason {
    match notice(notices).await {
        NetworkNotice::PeerLeft { cause, .. } => cause,
        notice => panic!("expected a peer to leave, got {notice:?}"),
    }
}

fn malformed() -> LeaveReason {
    LeaveReason::Violation(Violation::MalformedGossip("news".to_owned()))
}

#[tokio::test]
async fn undecodable_news() {
    let (pico, liar, mut at_pico) = scene().await;
    let (honest, honest_address) = node().await;
    connect(&pico, &honest, &honest_address).await;
    let mut notices = pico.subscribe();
    let reading = tokio::spawn(async move { at_pico.next().await });
    for number in 0..limits::MAX_GOSSIP_STRIKES as u8 {
        publish::<GarbageTopic>(&liar, || vec![0xff, number]).await;
    }
    assert_eq!(cause(&mut notices).await, malformed());
    publish::<NewsTopic>(&honest, || news("true")).await;
    let (item, _) = soon("honest news", reading).await.unwrap().unwrap();
    assert_eq!(item, news("true"));
    assert_eq!(pico.get_peers(), [honest.get_local_peer_id()]);
    pico.close().await;
}

#[tokio::test]
async fn oversized_news() {
    let (pico, liar, _at_pico) = scene().await;
    let mut notices = pico.subscribe();
    for number in 0..limits::MAX_GOSSIP_STRIKES as u8 {
        publish::<GarbageTopic>(&liar, || vec![number; NewsTopic::MAX_MESSAGE_SIZE]).await;
    }
    assert_eq!(cause(&mut notices).await, malformed());
    pico.close().await;
}

#[tokio::test]
async fn a_slow_subscriber_loses_news_and_nothing_else() {
    let (pico, node, mut at_pico) = scene().await;
    let count = 50;
    for number in 0..count {
        publish::<NewsTopic>(&node, || news(&number.to_string())).await;
    }
    let lost = (count - NewsTopic::BUFFER_SIZE) as u64;
    soon("the loss", async {
        while pico.dropped().gossip < lost {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(pico.dropped().gossip, lost);
    for _ in 0..NewsTopic::BUFFER_SIZE {
        let (_, id) = soon("kept news", at_pico.next()).await.unwrap();
        pico.validate_message::<NewsTopic>(id, MsgAcceptance::Accept);
    }
    publish::<NewsTopic>(&node, || news("later")).await;
    assert_eq!(
        soon("later news", at_pico.next()).await.unwrap().0,
        news("later")
    );
    assert_well(&pico, &node).await;
    pico.close().await;
}

#[tokio::test]
async fn a_subscriber_that_is_gone_can_be_followed_by_another() {
    let (pico, node, at_pico) = scene().await;
    drop(at_pico);
    let mut at_pico = subscribe(&pico).await;
    publish::<NewsTopic>(&node, || news("for the second")).await;
    assert_eq!(
        soon("news", at_pico.next()).await.unwrap().0,
        news("for the second")
    );
    pico.close().await;
}

/// A protobuf field of the length-delimited kind.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(bytes);
    field
}

#[tokio::test]
async fn garbage_on_the_gossip_stream() {
    let (pico, our_address) = listening_pico(full()).await;
    let mut at_pico = subscribe(&pico).await;
    let (node, address) = node().await;
    connect(&pico, &node, &address).await;

    let subscription = field(1, &[vec![8, 1], field(2, b"news")].concat());
    let flood: Vec<u8> = (0..10_000u32)
        .flat_map(|i| field(1, &[vec![8, 1], field(2, &i.to_be_bytes())].concat()))
        .collect();
    let unnamed = field(2, &field(2, b"neither author nor topic"));
    let rpcs = [
        // No RPC; one that announces too much; one that is cut off.
        vec![3, 0xff, 0xff, 0xff],
        vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        vec![200, 1, 2, 3],
        // Proper framing, improper content.
        field(0, &flood)[1..].to_vec(),
        field(0, &unnamed)[1..].to_vec(),
        field(0, &subscription.repeat(1000))[1..].to_vec(),
    ];
    for (number, rpc) in rpcs.into_iter().enumerate() {
        let mut raw = Raw::dial(&our_address, &[DISCOVERY, REQUESTS, GOSSIP]).await;
        let _streams = raw.handshake().await;
        let mut stream = raw.open(GOSSIP).await;
        stream.write_all(&rpc).await.unwrap();
        stream.flush().await.unwrap();
        stream.close().await.unwrap();
        publish::<NewsTopic>(&node, || news(&format!("beside garbage {number}"))).await;
        let (item, id) = soon("honest news", at_pico.next()).await.unwrap();
        assert_eq!(item.text, format!("beside garbage {number}"));
        pico.validate_message::<NewsTopic>(id, MsgAcceptance::Accept);
        assert_well(&pico, &node).await;
    }
    pico.close().await;
}
