//! Peers that misbehave in gossip, and subscribers that are slow.

use std::{sync::Arc, time::Duration};

use crate::common::{raw::*, *};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, stream::BoxStream};
use libp2p::core::muxing::SubstreamBox;
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

/// A raw peer that is subscribed to the news.
struct Member {
    raw: Raw,
    to_pico: SubstreamBox,
    from_pico: SubstreamBox,
    /// Who ends these is no peer any more.
    _discovery: (SubstreamBox, SubstreamBox),
}

async fn raw_member(address: &libp2p::Multiaddr) -> Member {
    let mut raw = Raw::dial(address, &[DISCOVERY, REQUESTS, GOSSIP]).await;
    let discovery = raw.handshake().await;
    let from_pico = raw.incoming(GOSSIP).await;
    let mut to_pico = raw.open(GOSSIP).await;
    let subscription = field(1, &[vec![8, 1], field(2, b"news")].concat());
    say(&mut to_pico, &subscription).await;
    Member {
        raw,
        to_pico,
        from_pico,
        _discovery: discovery,
    }
}

/// Says something as one RPC.
async fn say(stream: &mut SubstreamBox, rpc: &[u8]) {
    stream.write_all(&field(0, rpc)[1..]).await.unwrap();
    stream.flush().await.unwrap();
}

/// Reads RPCs until one of them is this.
async fn hear(stream: &mut SubstreamBox, rpc: &[u8]) {
    soon("what we should say", async {
        loop {
            let (mut length, mut shift) = (0, 0);
            loop {
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                length |= usize::from(byte[0] & 0x7f) << shift;
                shift += 7;
                if byte[0] & 0x80 == 0 {
                    break;
                }
            }
            let mut heard = vec![0; length];
            stream.read_exact(&mut heard).await.unwrap();
            if heard == rpc {
                return;
            }
        }
    })
    .await;
}

fn control(number: u8, bytes: &[u8]) -> Vec<u8> {
    field(3, &field(number, bytes))
}

fn raw_news(text: &str) -> Vec<u8> {
    let data = nimiq_serde::Serialize::serialize_to_vec(&news(text));
    field(2, &[field(2, &data), field(4, b"news")].concat())
}

fn id_of(text: &str) -> Vec<u8> {
    use sha2::Digest;
    let data = nimiq_serde::Serialize::serialize_to_vec(&news(text));
    sha2::Sha256::digest([b"news", &data[..]].concat()).to_vec()
}

#[tokio::test]
async fn speaks_gossip_properly() {
    let (pico, address) = listening_pico(full()).await;
    let mut at_pico = subscribe(&pico).await;
    let mut member = raw_member(&address).await;
    hear(
        &mut member.from_pico,
        &field(1, &[vec![8, 1], field(2, b"news")].concat()),
    )
    .await;
    hear(&mut member.from_pico, &control(3, &field(1, b"news"))).await;
    // Having something is answered by a wish, and the wish by what it is.
    let have = [field(1, b"news"), field(2, &id_of("fetched"))].concat();
    say(&mut member.to_pico, &control(1, &have)).await;
    hear(
        &mut member.from_pico,
        &control(2, &field(1, &id_of("fetched"))),
    )
    .await;
    say(&mut member.to_pico, &raw_news("fetched")).await;
    let (item, _) = soon("news", at_pico.next()).await.unwrap();
    assert_eq!(item, news("fetched"));
    pico.close().await;
}

#[tokio::test]
async fn leaves_out_what_it_should_say() {
    let (pico, address) = listening_pico(full()).await;
    let mut at_pico = subscribe(&pico).await;
    let mut member = raw_member(&address).await;
    // Half a message, and the rest of it later. In between, others are heard.
    let rpc = field(0, &raw_news("in two parts"))[1..].to_vec();
    let (first, second) = rpc.split_at(10);
    member.to_pico.write_all(first).await.unwrap();
    member.to_pico.flush().await.unwrap();
    let mut other = raw_member(&address).await;
    say(&mut other.to_pico, &raw_news("whole")).await;
    assert_eq!(soon("news", at_pico.next()).await.unwrap().0, news("whole"));
    member.to_pico.write_all(second).await.unwrap();
    member.to_pico.flush().await.unwrap();
    let (item, _) = soon("news", at_pico.next()).await.unwrap();
    assert_eq!(item, news("in two parts"));
    pico.close().await;
}

#[tokio::test]
async fn floods_us_with_gossip_about_gossip() {
    let (pico, our_address) = listening_pico(full()).await;
    let mut at_pico = subscribe(&pico).await;
    let (node, address) = node().await;
    connect(&pico, &node, &address).await;
    let mut member = raw_member(&our_address).await;
    let before = pico.traffic().bytes_sent;
    let graft = field(3, &field(1, b"news"));
    let prune = field(4, &[field(1, b"news"), vec![24, 0]].concat());
    let in_and_out = field(3, &[prune, graft].concat().repeat(500));
    for round in 0..20u32 {
        let ids: Vec<u8> = (0..5000u32)
            .flat_map(|number| field(2, &[round, number].map(u32::to_be_bytes).concat().repeat(4)))
            .collect();
        say(
            &mut member.to_pico,
            &control(1, &[field(1, b"news"), ids].concat()),
        )
        .await;
        say(&mut member.to_pico, &in_and_out).await;
        let unwanted = field(1, &[round as u8; 32]).repeat(1000);
        say(&mut member.to_pico, &control(5, &unwanted)).await;
    }
    publish::<NewsTopic>(&node, || news("beside the flood")).await;
    let (item, id) = soon("honest news", at_pico.next()).await.unwrap();
    assert_eq!(item, news("beside the flood"));
    pico.validate_message::<NewsTopic>(id, MsgAcceptance::Accept);
    assert_well(&pico, &node).await;
    // 3.6 MB of it came; what it has made us say is of another size.
    let sent = pico.traffic().bytes_sent - before;
    assert!(sent < 100_000, "{sent}");
    pico.close().await;
}

#[tokio::test]
async fn reads_no_gossip() {
    let (pico, our_address) = listening_pico(full()).await;
    let mut at_pico = subscribe(&pico).await;
    let (node, address) = node().await;
    connect(&pico, &node, &address).await;
    // It is in the mesh, and its stream is never read from.
    let mut member = raw_member(&our_address).await;
    say(&mut member.to_pico, &control(3, &field(1, b"news"))).await;
    let text = |number: u32| format!("{number:0>800}");
    for number in 0..1000 {
        publish::<NewsTopic>(&node, || news(&text(number))).await;
        let (item, id) = soon("honest news", at_pico.next()).await.unwrap();
        assert_eq!(item.text, text(number));
        pico.validate_message::<NewsTopic>(id, MsgAcceptance::Accept);
    }
    assert_well(&pico, &node).await;
    pico.close().await;
}

#[tokio::test]
async fn says_again_and_again_what_is_no_gossip() {
    let (pico, address) = listening_pico(full()).await;
    let _at_pico = subscribe(&pico).await;
    let mut notices = pico.subscribe();
    let mut member = raw_member(&address).await;
    let NetworkNotice::PeerJoined { peer_id, .. } = notice(&mut notices).await else {
        panic!("expected a peer to join");
    };
    assert_eq!(peer_id, member.raw.peer_id());
    for round in 0..limits::MAX_GOSSIP_STRIKES {
        if round > 0 {
            member.to_pico = member.raw.open(GOSSIP).await;
        }
        // One byte too many is announced.
        member.to_pico.write_all(&[0x81, 0x80, 0x40]).await.unwrap();
        member.to_pico.flush().await.unwrap();
    }
    let cause = cause(&mut notices).await;
    assert_eq!(
        cause,
        LeaveReason::Violation(Violation::MalformedGossipStream)
    );
    pico.close().await;
}

#[tokio::test]
async fn claims_to_be_somebody_else() {
    let (pico, our_address) = listening_pico(full()).await;
    let mut at_pico = subscribe(&pico).await;
    let (node, address) = node().await;
    let mut at_node = node.subscribe::<NewsTopic>().await.unwrap();
    connect(&pico, &node, &address).await;
    let mut member = raw_member(&our_address).await;
    let data = nimiq_serde::Serialize::serialize_to_vec(&news("forged"));
    let by = |author: &[u8]| {
        let fields = [field(1, author), field(2, &data), field(4, b"news")];
        field(2, &fields.concat())
    };
    // By nobody, by us: no honest peer passes that on, and it doesn't keep the same from coming truly.
    say(&mut member.to_pico, &by(b"nobody")).await;
    say(
        &mut member.to_pico,
        &by(&pico.get_local_peer_id().to_bytes()),
    )
    .await;
    // With a signature that is none, which we don't look at and don't pass on.
    let signed = [
        field(2, &data),
        field(4, b"news"),
        field(5, b"?"),
        field(6, b"?"),
    ];
    say(&mut member.to_pico, &field(2, &signed.concat())).await;
    let (item, id) = soon("news", at_pico.next()).await.unwrap();
    assert_eq!(item, news("forged"));
    soon("the node's subscription", async {
        while pico.publish::<NewsTopic>(news("ours")).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    pico.validate_message::<NewsTopic>(id, MsgAcceptance::Accept);
    let mut texts = Vec::new();
    for _ in 0..2 {
        texts.push(soon("news", at_node.next()).await.unwrap().0.text);
    }
    texts.sort();
    assert_eq!(texts, ["forged", "ours"]);
    pico.close().await;
}
