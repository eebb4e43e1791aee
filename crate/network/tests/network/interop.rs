//! Our network against `nimiq-network-libp2p`, the network of real nodes, in one process.

use std::time::Duration;

use crate::common::*;
use futures::StreamExt;
use nimiq_network_interface::{
    network::{CloseReason, MsgAcceptance, Network as _, PubsubId},
    peer_info::Services,
    request::{InboundRequestError, OutboundRequestError, RequestError},
};
use pico_network::{DialError, LeaveReason, NetworkNotice, Transport};

#[tokio::test]
async fn we_dial_a_node_and_both_count_a_peer() {
    let (node, address) = node().await;
    let pico = pico();
    let mut notices = pico.subscribe();
    let mut events = pico.subscribe_events();
    connect(&pico, &node, &address).await;

    let node_id = node.get_local_peer_id();
    assert_eq!(joined(&mut events).await, node_id);
    assert_eq!(
        notice(&mut notices).await,
        NetworkNotice::PeerJoined {
            peer_id: node_id,
            address: address.clone(),
            transport: Transport::WebSocket,
            services: full(),
        }
    );
    assert_eq!(pico.get_peers(), [node_id]);
    assert!(pico.has_peer(node_id));
    assert!(pico.peer_provides_required_services(node_id));
    assert!(!pico.peer_provides_services(node_id, Services::VALIDATOR));
    assert_eq!(pico.get_peer_info(node_id).unwrap().get_address(), address);
    assert_eq!(
        node.get_peer_info(pico.get_local_peer_id())
            .unwrap()
            .get_services(),
        Services::empty()
    );
    let traffic = pico.traffic();
    assert!(
        traffic.bytes_received > 500 && traffic.bytes_sent > 500,
        "{traffic:?}"
    );
    assert_eq!(pico.clock_offset(), 0);
    // Dialling it again finds it connected.
    assert_eq!(pico.dial(with_peer(&address, node_id)).await, Ok(node_id));
    assert_eq!(pico.peers().len(), 1);
    pico.close().await;
}

#[tokio::test]
async fn a_node_dials_us() {
    let (pico, address) = listening_pico(full()).await;
    let (node, _) = node().await;
    let (mut ours, mut theirs) = (pico.subscribe_events(), node.subscribe_events());
    node.dial_address(address).await.unwrap();
    assert_eq!(joined(&mut ours).await, node.get_local_peer_id());
    assert_eq!(joined(&mut theirs).await, pico.get_local_peer_id());
    pico.close().await;
    assert_eq!(left(&mut theirs).await, pico.get_local_peer_id());
}

#[tokio::test]
async fn the_first_ping_comes_back() {
    let (node, address) = node().await;
    let pico = pico();
    connect(&pico, &node, &address).await;
    soon("a round trip time", async {
        while pico.peers()[0].rtt.is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    pico.close().await;
}

#[tokio::test]
async fn requests_both_ways() {
    let (node, address) = node().await;
    let pico = pico();
    connect(&pico, &node, &address).await;
    let (node_id, pico_id) = (node.get_local_peer_id(), pico.get_local_peer_id());

    let mut at_node = node.receive_requests::<Question>();
    let mut at_pico = pico.receive_requests::<Question>();
    let ask = |number| Question {
        number,
        padding: vec![1; 20_000],
    };
    let reply = |number| Answer {
        number,
        padding: vec![2; 9_000_000],
    };

    let (answer, ()) = soon("the node's answer", async {
        tokio::join!(pico.request(ask(1), node_id), async {
            let (request, id, from) = at_node.next().await.unwrap();
            assert_eq!((request, from), (ask(1), pico_id));
            node.respond::<Question>(id, reply(2)).await.unwrap();
        })
    })
    .await;
    assert_eq!(answer, Ok(reply(2)));

    let (answer, ()) = soon("our answer", async {
        tokio::join!(node.request(ask(3), pico_id), async {
            let (request, id, from) = at_pico.next().await.unwrap();
            assert_eq!((request, from), (ask(3), node_id));
            pico.respond::<Question>(id, reply(4)).await.unwrap();
            assert!(pico.respond::<Question>(id, reply(4)).await.is_err());
        })
    })
    .await;
    assert_eq!(answer, Ok(reply(4)));
    pico.close().await;
}

#[tokio::test]
async fn one_way_messages_both_ways() {
    let (node, address) = node().await;
    let pico = pico();
    connect(&pico, &node, &address).await;
    let mut at_pico = pico.receive_messages::<Remark>();
    let remark = |text: &str| Remark {
        text: text.to_owned(),
    };
    soon(
        "our receipt",
        node.message(remark("to us"), pico.get_local_peer_id()),
    )
    .await
    .unwrap();
    assert_eq!(
        at_pico.next().await.unwrap(),
        (remark("to us"), node.get_local_peer_id())
    );

    let mut at_node = node.receive_messages::<Remark>();
    let (sent, received) = soon("the node's receipt", async {
        // The node registers its receiver when its stream is polled first.
        tokio::join!(
            async {
                loop {
                    match pico
                        .message(remark("to it"), node.get_local_peer_id())
                        .await
                    {
                        Err(RequestError::InboundRequest(InboundRequestError::NoReceiver)) => {}
                        result => return result,
                    }
                }
            },
            at_node.next()
        )
    })
    .await;
    assert_eq!(sent, Ok(()));
    assert_eq!(
        received.unwrap(),
        (remark("to it"), pico.get_local_peer_id())
    );
    pico.close().await;
}

#[tokio::test]
async fn requests_without_receiver_or_peer_fail_at_once() {
    let (node, address) = node().await;
    let pico = pico();
    let question = Question {
        number: 1,
        padding: vec![],
    };
    let node_id = node.get_local_peer_id();
    assert_eq!(
        pico.request(question.clone(), node_id).await,
        Err(OutboundRequestError::ConnectionClosed.into())
    );
    connect(&pico, &node, &address).await;
    let no_receiver = Err(InboundRequestError::NoReceiver.into());
    assert_eq!(
        soon("refusal", pico.request(question.clone(), node_id)).await,
        no_receiver
    );
    let refused = soon("refusal", node.request(question, pico.get_local_peer_id())).await;
    assert_eq!(refused, no_receiver);
    let huge = Question {
        number: 1,
        padding: vec![0; 30_000],
    };
    assert_eq!(
        pico.request(huge, node_id).await,
        Err(OutboundRequestError::SerializationError.into())
    );
    assert!(pico.has_peer(node_id));
    pico.close().await;
}

#[tokio::test]
async fn our_rate_limits_are_told() {
    let (node, address) = node().await;
    let pico = pico();
    connect(&pico, &node, &address).await;
    let mut at_pico = pico.receive_requests::<Question>();
    let mut refused = 0;
    for number in 0..25 {
        let question = Question {
            number,
            padding: vec![],
        };
        let (answer, ()) = soon("an answer", async {
            let answer = node.request(question, pico.get_local_peer_id());
            tokio::pin!(answer);
            loop {
                tokio::select! {
                    answer = &mut answer => return (answer, ()),
                    Some((question, id, _)) = at_pico.next() => {
                        let answer = Answer { number: question.number, padding: vec![] };
                        pico.respond::<Question>(id, answer).await.unwrap();
                    }
                }
            }
        })
        .await;
        match answer {
            Ok(answer) => assert_eq!(answer.number, number),
            Err(error) => {
                assert_eq!(error, InboundRequestError::ExceedsRateLimit.into());
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 5);
    // Too many, but not so many as to be dropped for it.
    assert!(pico.has_peer(node.get_local_peer_id()));
    pico.close().await;
}

#[tokio::test]
async fn gossip_both_ways_and_onwards() {
    let ((a, a_address), (b, b_address)) = (node().await, node().await);
    let pico = pico();
    // We are in the middle: the nodes hear of each other's news only through us.
    let mut at_a = a.subscribe::<NewsTopic>().await.unwrap();
    let mut at_b = b.subscribe::<NewsTopic>().await.unwrap();
    let mut at_pico = nimiq_network_interface::network::Network::subscribe::<NewsTopic>(&*pico)
        .await
        .unwrap();
    connect(&pico, &a, &a_address).await;
    connect(&pico, &b, &b_address).await;

    let news = |text: &str| News {
        text: text.to_owned(),
    };
    publish(|| a.publish::<NewsTopic>(news("from a"))).await;
    let (item, id) = soon("news at ours", at_pico.next()).await.unwrap();
    assert_eq!(
        (item, id.propagation_source()),
        (news("from a"), a.get_local_peer_id())
    );
    // Only what we accept goes on.
    pico.validate_message::<NewsTopic>(id, MsgAcceptance::Accept);
    let (item, id) = soon("news at b", at_b.next()).await.unwrap();
    assert_eq!(
        (item, id.propagation_source()),
        (news("from a"), pico.get_local_peer_id())
    );

    publish(|| pico.publish::<NewsTopic>(news("from us"))).await;
    assert_eq!(
        soon("news at a", at_a.next()).await.unwrap().0,
        news("from us")
    );
    assert_eq!(
        soon("news at b", at_b.next()).await.unwrap().0,
        news("from us")
    );
    // Publishing it again is no error.
    pico.publish::<NewsTopic>(news("from us")).await.unwrap();

    assert!(
        nimiq_network_interface::network::Network::subscribe::<NewsTopic>(&*pico)
            .await
            .is_err()
    );
    pico.unsubscribe::<NewsTopic>().await.unwrap();
    assert!(pico.unsubscribe::<NewsTopic>().await.is_err());
    assert!(at_pico.next().await.is_none());
    pico.close().await;
}

/// Publishes as soon as somebody is subscribed.
pub(crate) async fn publish<E: std::fmt::Display, F: Future<Output = Result<(), E>>>(
    publish: impl Fn() -> F,
) {
    soon("a subscriber", async {
        while let Err(error) = publish().await {
            assert!(
                error.to_string().contains("subscribed") || error.to_string().contains("NoPeers"),
                "{error}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn leaving_is_noticed_on_both_sides() {
    let (node, address) = node().await;
    let pico = pico();
    connect(&pico, &node, &address).await;
    let node_id = node.get_local_peer_id();
    let (mut notices, mut theirs) = (pico.subscribe(), node.subscribe_events());
    pico.disconnect(node_id).await;
    assert_eq!(left(&mut theirs).await, pico.get_local_peer_id());
    let NetworkNotice::PeerLeft { peer_id, cause, .. } = notice(&mut notices).await else {
        panic!()
    };
    assert_eq!((peer_id, cause), (node_id, LeaveReason::Requested));
    assert!(pico.peers().is_empty());

    // And it can come back, and leave by itself.
    connect(&pico, &node, &address).await;
    assert!(matches!(
        notice(&mut notices).await,
        NetworkNotice::PeerJoined { .. }
    ));
    node.disconnect_peer(pico.get_local_peer_id(), CloseReason::GoingOffline)
        .await;
    let NetworkNotice::PeerLeft { cause, .. } = notice(&mut notices).await else {
        panic!()
    };
    assert!(
        matches!(cause, LeaveReason::Closed(_) | LeaveReason::Discovery(_)),
        "{cause:?}"
    );
    pico.close().await;
}

#[tokio::test]
async fn the_banned_stay_out_in_both_directions() {
    let (pico, our_address) = listening_pico(Services::empty()).await;
    let (node, address) = node().await;
    connect(&pico, &node, &address).await;
    let mut notices = pico.subscribe();
    pico.disconnect_peer(node.get_local_peer_id(), CloseReason::MaliciousPeer)
        .await;
    let NetworkNotice::PeerLeft { cause, .. } = notice(&mut notices).await else {
        panic!()
    };
    assert_eq!(cause, LeaveReason::Banned);
    assert_eq!(pico.dial(address.clone()).await, Err(DialError::Banned));
    let mut theirs = node.subscribe_events();
    node.dial_address(our_address).await.unwrap();
    // Another honest node on the same host is not affected, and the banned one never joins.
    let (other, other_address) = crate::common::node().await;
    connect(&pico, &other, &other_address).await;
    assert_eq!(pico.get_peers(), [other.get_local_peer_id()]);
    let quiet = tokio::time::timeout(Duration::from_millis(500), theirs.next()).await;
    assert!(!matches!(
        quiet,
        Ok(Some(Ok(
            nimiq_network_interface::network::NetworkEvent::PeerJoined(..)
        )))
    ));
    pico.close().await;
}

#[tokio::test]
async fn another_genesis_is_another_network() {
    let (_node, address) = node_with(full(), nimiq_hash::Blake2bHash::from([8; 32])).await;
    let pico = pico();
    let error = soon("the refusal", pico.dial(address)).await.unwrap_err();
    let DialError::Lost(reason) = &error else {
        panic!("{error:?}")
    };
    // Both refuse; whichever message is faster decides what we see.
    assert!(
        matches!(reason, LeaveReason::Discovery(_) | LeaveReason::Closed(_)),
        "{reason:?}"
    );
    assert!(pico.peers().is_empty());
    pico.close().await;
}

#[tokio::test]
async fn the_pool_finds_and_keeps_the_desired_peers() {
    let (a, a_address) = node().await;
    let (b, b_address) = node().await;
    let mut config = config(vec![a_address.clone()]);
    config.desired_peers = 2;
    let pico = pico_network::Network::new(config).unwrap();
    // Only a is a seed; of b, a has to tell.
    let mut at_a = a.subscribe_events();
    a.dial_address(b_address).await.unwrap();
    assert_eq!(joined(&mut at_a).await, b.get_local_peer_id());
    let mut events = pico.subscribe_events();
    pico.start_connecting();
    let mut peers = [joined(&mut events).await, joined(&mut events).await];
    let mut expected = [a.get_local_peer_id(), b.get_local_peer_id()];
    peers.sort();
    expected.sort();
    assert_eq!(peers, expected);

    // Lost peers are dialled again.
    a.disconnect_peer(pico.get_local_peer_id(), CloseReason::Other)
        .await;
    assert_eq!(left(&mut events).await, a.get_local_peer_id());
    assert_eq!(joined(&mut events).await, a.get_local_peer_id());

    // Going offline lets all go, coming back fetches them again.
    pico.stop();
    left(&mut events).await;
    left(&mut events).await;
    assert_eq!(pico.dial(a_address).await, Err(DialError::Offline));
    pico.start_connecting();
    joined(&mut events).await;
    joined(&mut events).await;

    // Closing ends all streams, as often as it is called.
    pico.close().await;
    left(&mut events).await;
    left(&mut events).await;
    assert!(events.next().await.is_none());
    pico.close().await;
    assert!(pico.is_closed());
    assert_eq!(
        pico.dial("/ip4/127.0.0.1/tcp/1/ws".parse().unwrap()).await,
        Err(DialError::Closed)
    );
    assert!(pico.subscribe_events().next().await.is_none());
}

#[tokio::test]
async fn peers_are_found_by_what_they_offer() {
    let ((a, a_address), (b, b_address)) = (node().await, node().await);
    let mut at_a = a.subscribe_events();
    a.dial_address(b_address).await.unwrap();
    assert_eq!(joined(&mut at_a).await, b.get_local_peer_id());

    let pico = pico();
    // Nobody is connected, and nobody known.
    let b_id = b.get_local_peer_id();
    assert!(pico.dial_peer(b_id).await.is_err());
    connect(&pico, &a, &a_address).await;
    let a_id = a.get_local_peer_id();
    assert_eq!(
        pico.get_peers_by_services(Services::HISTORY, 1).await,
        Ok(vec![a_id])
    );
    // b is known from a's contacts, as soon as they are checked.
    soon("b's contact", async {
        while pico.known_contacts() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut found = soon("b", pico.get_peers_by_services(Services::HISTORY, 2))
        .await
        .unwrap();
    let mut expected = vec![a_id, b_id];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    pico.dial_peer(b_id).await.unwrap();
    pico.disconnect(b_id).await;
    soon("b's leaving", async {
        while pico.has_peer(b_id) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    soon("b's return", pico.dial_peer(b_id)).await.unwrap();
    assert!(pico.has_peer(b_id));
    // Nobody offers this, and nobody is to be dialled for it.
    let nobody = pico.get_peers_by_services(Services::VALIDATOR, 1);
    assert_eq!(
        soon("the end of patience", nobody).await,
        Err(pico_network::NetworkError::PeersNotFound)
    );
    pico.close().await;
}

#[tokio::test]
async fn two_of_ours_talk_to_each_other() {
    let (server, address) = listening_pico(full()).await;
    let client = pico();
    let mut at_server = server.subscribe_events();
    let server_id = soon("the dial", client.dial(address)).await.unwrap();
    assert_eq!(server_id, server.get_local_peer_id());
    assert_eq!(joined(&mut at_server).await, client.get_local_peer_id());
    let mut questions = server.receive_requests::<Question>();
    let (answer, ()) = soon("an answer", async {
        tokio::join!(
            client.request(
                Question {
                    number: 1,
                    padding: vec![]
                },
                server_id
            ),
            async {
                let (question, id, _) = questions.next().await.unwrap();
                let answer = Answer {
                    number: question.number + 1,
                    padding: question.padding,
                };
                server.respond::<Question>(id, answer).await.unwrap();
            }
        )
    })
    .await;
    assert_eq!(answer.unwrap().number, 2);
    client.close().await;
    assert_eq!(left(&mut at_server).await, client.get_local_peer_id());
    server.close().await;
}
