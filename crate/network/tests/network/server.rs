//! Being a server: many clients at once, and some that would have it for themselves.

use std::{sync::Arc, time::Duration};

use crate::common::{raw::*, *};
use futures::{AsyncReadExt, AsyncWriteExt, Stream, StreamExt, future::join_all};
use nimiq_network_interface::{
    network::{MsgAcceptance, Network as NetworkInterface},
    peer_info::Services,
    request::{InboundRequestError, RequestCommon, RequestError, RequestSerialize, RequestType},
};
use nimiq_serde::{Deserialize, Serialize};
use pico_network::{
    Capacity, DialError, Direction, GossipId, LeaveReason, Network, NetworkNotice, RawRequests,
    Violation, discovery::messages::DiscoveryMessage, reqres::rate_limit::RateLimit,
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpSocket, TcpStream},
};

/// A server that offers everything, with room as `change` says.
async fn server(change: impl FnOnce(&mut Capacity)) -> (Arc<Network>, libp2p::Multiaddr) {
    let mut config = config(vec![]);
    config.provided_services = full();
    config.client_to_dialled = true;
    config.capacity = Capacity::server(128);
    change(&mut config.capacity);
    let network = Network::new(config).unwrap();
    let address = network.listen_on(listen_address()).await.unwrap();
    (network, address)
}

fn questions(server: &Network) -> RawRequests {
    let limit = RateLimit {
        max: Question::MAX_REQUESTS,
        window: Duration::from_secs(10),
    };
    let kind = RequestType::request(Question::TYPE_ID);
    server.receive_raw(&[(kind, limit)], 1000).unwrap()
}

/// Answers every question with so many bytes.
fn answer_all(server: &Arc<Network>, bytes: usize) {
    let (server, mut requests) = (Arc::clone(server), questions(server));
    let answer = Answer {
        number: 7,
        padding: vec![0; bytes],
    };
    let answer = Arc::new(Ok::<_, InboundRequestError>(answer).serialize_to_vec());
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            server.respond_raw(request.id, Arc::clone(&answer)).await;
        }
    });
}

fn question() -> Question {
    Question {
        number: 1,
        padding: vec![],
    }
}

async fn client(address: &libp2p::Multiaddr) -> Arc<Network> {
    let client = pico();
    soon("the server", client.dial(address.clone()))
        .await
        .unwrap();
    client
}

async fn is_served(client: &Network, server: &Network) {
    let asked = client.request(question(), server.get_local_peer_id());
    assert_eq!(soon("an answer", asked).await.unwrap().number, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_offer_nothing_are_welcome() {
    let (server, address) = server(|_| {}).await;
    answer_all(&server, 0);
    let clients = join_all((0..40).map(|_| client(&address))).await;
    join_all(clients.iter().map(|client| is_served(client, &server))).await;
    assert_eq!(server.peer_count(), 40);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_answers_are_bytes() {
    let (server, address) = server(|_| {}).await;
    let mut requests = questions(&server);
    let client = client(&address).await;
    let payload = question().serialize_request();
    let asked = client.request_raw(server.get_local_peer_id(), payload.clone());
    let (answer, ()) = tokio::join!(asked, async {
        let request = soon("a request", requests.next()).await.unwrap();
        assert_eq!(request.peer, client.get_local_peer_id());
        assert_eq!(request.payload.bytes(), payload);
        let kind = request.request_type().unwrap();
        assert_eq!((kind.type_id(), kind.requires_response()), (900, true));
        server
            .respond_raw(request.id, Arc::new(vec![1, 2, 3]))
            .await;
        // Nobody waits any more, and nobody minds.
        server.respond_raw(request.id, Arc::default()).await;
    });
    assert_eq!(answer.unwrap().bytes(), [1, 2, 3]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_over_the_limit_is_refused_and_then_banned() {
    let (server, address) = server(|_| {}).await;
    answer_all(&server, 0);
    let (greedy, modest) = (client(&address).await, client(&address).await);
    let mut notices = server.subscribe();
    let peer = server.get_local_peer_id();
    // The limit is 20, and a flood begins at the eightfold.
    let mut refused = 0;
    loop {
        let asked = (0..10).map(|_| greedy.request(question(), peer));
        let answers = soon("answers", join_all(asked)).await;
        let limit = |answer: &Result<Answer, RequestError>| {
            matches!(
                answer,
                Err(RequestError::InboundRequest(
                    InboundRequestError::ExceedsRateLimit
                ))
            )
        };
        refused += answers.iter().filter(|answer| limit(answer)).count();
        if !server.has_peer(greedy.get_local_peer_id()) {
            break;
        }
    }
    assert!(refused >= 100);
    // A client knows that it has joined before the server does.
    let (peer_id, cause) = loop {
        if let NetworkNotice::PeerLeft { peer_id, cause, .. } = notice(&mut notices).await {
            break (peer_id, cause);
        }
    };
    assert_eq!(peer_id, greedy.get_local_peer_id());
    assert_eq!(cause, LeaveReason::Violation(Violation::RequestFlood(900)));
    assert_eq!(server.offenders(), 1);
    soon("a refusal", greedy.dial(address)).await.unwrap_err();
    is_served(&modest, &server).await;
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_cannot_take_all_places_of_those_who_wait() {
    let (server, address) = server(|capacity| {
        capacity.unanswered = 8;
        capacity.unanswered_per_peer = 4;
    })
    .await;
    let mut requests = questions(&server);
    let (greedy, modest) = (client(&address).await, client(&address).await);
    let peer = server.get_local_peer_id();
    let asked = tokio::spawn({
        let greedy = Arc::clone(&greedy);
        async move { join_all((0..10).map(|_| greedy.request(question(), peer))).await }
    });
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(soon("a request", requests.next()).await.unwrap());
    }
    let (answer, ()) = tokio::join!(modest.request(question(), peer), async {
        let request = soon("another client's request", requests.next())
            .await
            .unwrap();
        assert_eq!(request.peer, modest.get_local_peer_id());
        held.push(request);
        let answer = Answer {
            number: 7,
            padding: vec![],
        };
        let answer = Arc::new(Ok::<_, InboundRequestError>(answer).serialize_to_vec());
        for request in held.drain(..) {
            server.respond_raw(request.id, Arc::clone(&answer)).await;
        }
    });
    assert_eq!(answer.unwrap().number, 7);
    let answers = soon("the end of the others", asked).await.unwrap();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 4);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_and_does_not_read_is_left_without_answers() {
    const LARGE: usize = 2 * 1024 * 1024;
    let (server, address) = server(|capacity| {
        capacity.answer_memory_per_peer = 3 * LARGE;
    })
    .await;
    answer_all(&server, LARGE);
    let mut slow = Raw::dial(&address, &[DISCOVERY, REQUESTS]).await;
    let _streams = slow.handshake().await;
    let request = frame(&question().serialize_request());
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = slow.open(REQUESTS).await;
        stream.write_all(&request).await.unwrap();
        stream.flush().await.unwrap();
        streams.push(stream);
    }
    // Two fit into what it may take. The others are told so, in a few bytes. All streams stay open until the end:
    // one that is dropped gives its place to an answer that is not made yet.
    let mut refused = 0;
    for stream in &mut streams {
        let mut header = [0; 8];
        soon("a header", stream.read_exact(&mut header))
            .await
            .unwrap();
        if u64::from_be_bytes(header) == 2 {
            let mut answer = vec![0; 2];
            stream.read_exact(&mut answer).await.unwrap();
            let answer = Result::<Answer, InboundRequestError>::deserialize_from_vec(&answer);
            assert_eq!(answer, Ok(Err(InboundRequestError::ExceedsRateLimit)));
            refused += 1;
        }
    }
    assert_eq!(refused, 8);
    assert_eq!(server.dropped().requests, 8);
    let other = client(&address).await;
    is_served(&other, &server).await;
    server.close().await;
}

async fn half_open(address: &libp2p::Multiaddr) -> TcpStream {
    let mut port = 0;
    for protocol in address.iter() {
        if let libp2p::multiaddr::Protocol::Tcp(number) = protocol {
            port = number;
        }
    }
    let socket = TcpSocket::new_v4().unwrap();
    soon("a socket", socket.connect(([127, 0, 0, 1], port).into()))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_connections_shut_nobody_out() {
    let (server, address) = server(|capacity| capacity.pending_incoming = 16).await;
    answer_all(&server, 0);
    let mut open = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..10 {
        for _ in 0..40 {
            open.push(half_open(&address).await);
        }
        let client = client(&address).await;
        is_served(&client, &server).await;
        clients.push(client);
    }
    assert_eq!(server.peer_count(), clients.len());
    // The first one has made room long ago.
    let end = soon("the end of the oldest", open[0].read(&mut [0; 64])).await;
    assert!(matches!(end, Ok(0) | Err(_)));
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_has_so_long_to_be_opened() {
    let (server, address) = server(|capacity| {
        capacity.incoming_upgrade = Duration::from_millis(200);
    })
    .await;
    let mut idle = half_open(&address).await;
    let end = soon("the end of an idle one", idle.read(&mut [0; 64])).await;
    assert!(matches!(end, Ok(0) | Err(_)));
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_has_so_many_connections() {
    let (server, address) = server(|capacity| capacity.connections_per_ip = Some(2)).await;
    let (first, _second) = (client(&address).await, client(&address).await);
    let third = pico();
    let refused = soon("a refusal", third.dial(address.clone())).await;
    assert!(matches!(
        refused,
        Err(DialError::Transport(_) | DialError::Lost(_))
    ));
    // A place that is left is free.
    let mut notices = server.subscribe();
    first.close().await;
    assert!(matches!(
        notice(&mut notices).await,
        NetworkNotice::PeerLeft { .. }
    ));
    soon("the server", third.dial(address)).await.unwrap();
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_offer_changes_and_is_not_for_those_who_were_dialled() {
    let (upstream, upstream_address) = listening_pico(full()).await;
    let (server, address) = server(|_| {}).await;
    server.set_offer(Services::empty(), vec![]);
    let mut joins = upstream.subscribe();
    server.dial(upstream_address.clone()).await.unwrap();
    let NetworkNotice::PeerJoined { services, .. } = notice(&mut joins).await else {
        panic!("expected a join");
    };
    assert_eq!(services, Services::empty());
    let services = |client: &Network| client.peers()[0].services;
    assert_eq!(services(&*client(&address).await), Services::empty());
    server.set_offer(Services::ACCOUNTS_PROOF, vec![address.clone()]);
    let client = client(&address).await;
    assert_eq!(services(&client), Services::ACCOUNTS_PROOF);
    // To whom it dials it is a client still.
    server.disconnect(upstream.get_local_peer_id()).await;
    assert!(matches!(
        notice(&mut joins).await,
        NetworkNotice::PeerLeft { .. }
    ));
    server.dial(upstream_address).await.unwrap();
    let NetworkNotice::PeerJoined { services, .. } = notice(&mut joins).await else {
        panic!("expected a join");
    };
    assert_eq!(services, Services::empty());
    server.close().await;
}

#[tokio::test]
async fn what_somebody_was_told_is_known_and_what_came_after_is_not() {
    let (server, address) = server(|_| {}).await;
    server.set_offer(Services::empty(), vec![]);
    let mut notices = server.subscribe();
    let mut client = Raw::dial(&address, &[DISCOVERY]).await;
    let (mut write, mut read) = client.discovery_streams().await;
    send(&mut write, &handshake(genesis())).await;
    let nonce = receive_handshake(&mut read).await;
    let DiscoveryMessage::HandshakeAck { peer_contact, .. } = receive(&mut read).await else {
        panic!("expected an acknowledgement");
    };
    assert_eq!(peer_contact.inner.services, Services::empty());
    // Between the two halves of the handshake.
    server.set_offer(Services::ACCOUNTS_PROOF, vec![address.clone()]);
    send(&mut write, &client.ack(&nonce, vec![])).await;
    let joined = notice(&mut notices).await;
    assert!(
        matches!(joined, NetworkNotice::PeerJoined { .. }),
        "{joined:?}"
    );
    let told = |peer| server.peer(&peer).unwrap().told;
    assert_eq!(told(client.peer_id()), Services::empty());
    let mut late = Raw::dial(&address, &[DISCOVERY]).await;
    let _streams = late.handshake().await;
    notice(&mut notices).await;
    assert_eq!(told(late.peer_id()), Services::ACCOUNTS_PROOF);
    server.close().await;
}

#[tokio::test]
async fn who_is_disconnected_is_gone() {
    let (far, address) = listening_pico(full()).await;
    let near = pico();
    let peer = near.dial(address).await.unwrap();
    near.disconnect(peer).await;
    assert_eq!((near.peer_count(), near.peer(&peer)), (0, None));
    // Once more, and somebody who never was.
    near.disconnect(peer).await;
    near.disconnect(libp2p::PeerId::random()).await;
    near.close().await;
    near.disconnect(peer).await;
    far.close().await;
}

#[tokio::test]
async fn who_is_dialled_while_leaving_is_dialled_when_gone() {
    let (far, address) = listening_pico(full()).await;
    let peer = far.get_local_peer_id();
    let named = with_peer(&address, peer);
    let near = pico();
    near.dial(address.clone()).await.unwrap();
    let mut notices = near.subscribe();
    for again in [&address, &named] {
        // Both wishes are there before anything of the connection has ended.
        let (dialled, ()) = tokio::join!(biased; near.dial(again.clone()), async {});
        assert_eq!(dialled, Ok(peer), "it is connected");
        let ((), dialled) = tokio::join!(biased; near.disconnect(peer), near.dial(again.clone()));
        assert_eq!(dialled, Ok(peer));
        let left = notice(&mut notices).await;
        assert!(matches!(left, NetworkNotice::PeerLeft { .. }), "{left:?}");
        let joined = notice(&mut notices).await;
        assert!(
            matches!(joined, NetworkNotice::PeerJoined { .. }),
            "{joined:?}"
        );
        assert_eq!(near.peer_count(), 1);
    }
    // Without a network nobody is waited for.
    let ((), dialled, ()) =
        tokio::join!(biased; near.disconnect(peer), near.dial(address), near.close());
    assert!(dialled.is_err(), "{dialled:?}");
    far.close().await;
}

fn news(text: &str) -> News {
    News {
        text: text.to_owned(),
    }
}

/// Publishes until somebody is there to hear it.
async fn publish(network: &Network, text: &str) {
    soon("a subscriber", async {
        while network.publish::<NewsTopic>(news(text)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Publishes until `told` hears of it, and returns what that was. Who is in whose mesh can't be seen
/// from outside.
async fn publish_until(
    network: &Network,
    text: &str,
    told: &mut (impl Stream<Item = (News, GossipId)> + Unpin),
) -> News {
    let publishing = async {
        for number in 0.. {
            publish(network, &format!("{text} {number}")).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        item = soon("news", told.next()) => item.unwrap().0,
        () = publishing => unreachable!(),
    }
}

/// Accepts all that is heard, and sends it on to the test.
fn accept_all(
    network: &Arc<Network>,
    mut heard: impl Stream<Item = (News, GossipId)> + Send + Unpin + 'static,
) -> tokio::sync::mpsc::UnboundedReceiver<News> {
    let network = Arc::clone(network);
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some((item, id)) = heard.next().await {
            network.validate_message::<NewsTopic>(id, MsgAcceptance::Accept);
            drop(sender.send(item));
        }
    });
    receiver
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_of_those_who_were_dialled_go_to_all_and_of_others_nowhere() {
    let (upstream, upstream_address) = listening_pico(full()).await;
    let _upstream_news = NetworkInterface::subscribe::<NewsTopic>(&*upstream)
        .await
        .unwrap();
    let (server, address) = server(|_| {}).await;
    let heard = server
        .subscribe_one_way::<NewsTopic>(Direction::FromDialled)
        .await
        .unwrap();
    let mut accepted = accept_all(&server, heard);
    server.dial(upstream_address).await.unwrap();
    let (liar, honest) = (client(&address).await, client(&address).await);
    let mut told = NetworkInterface::subscribe::<NewsTopic>(&*honest)
        .await
        .unwrap();
    // The same message from the wrong side first doesn't keep it from coming from the right one.
    publish(&liar, "true 0").await;
    publish(&liar, "forged").await;
    let item = publish_until(&upstream, "true", &mut told).await;
    assert!(item.text.starts_with("true"));
    assert_eq!(accepted.recv().await.unwrap(), news("true 0"));
    while let Ok(item) = accepted.try_recv() {
        assert!(item.text.starts_with("true"), "{item:?}");
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_of_clients_go_to_those_who_were_dialled() {
    let (upstream, upstream_address) = listening_pico(full()).await;
    let mut told = NetworkInterface::subscribe::<NewsTopic>(&*upstream)
        .await
        .unwrap();
    let (server, address) = server(|_| {}).await;
    let heard = server
        .subscribe_one_way::<NewsTopic>(Direction::ToDialled)
        .await
        .unwrap();
    let mut accepted = accept_all(&server, heard);
    server.dial(upstream_address).await.unwrap();
    let client = client(&address).await;
    let item = publish_until(&client, "payment", &mut told).await;
    assert!(item.text.starts_with("payment"));
    assert_eq!(accepted.recv().await.unwrap(), news("payment 0"));
    // Those are not told that the server listens.
    let unheard = upstream.publish::<NewsTopic>(news("block")).await;
    assert!(unheard.is_err());
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_one_is_told_to_nobody_else() {
    let (server, address) = server(|_| {}).await;
    let (meant, curious) = (client(&address).await, client(&address).await);
    let name = meant.get_local_peer_id().to_string();
    let mut told = meant
        .subscribe_subtopic::<NewsTopic>(name.clone())
        .await
        .unwrap();
    let mut overheard = curious
        .subscribe_subtopic::<NewsTopic>(name.clone())
        .await
        .unwrap();
    soon("a subscriber", async {
        let peer = meant.get_local_peer_id();
        let tell = || server.publish_subtopic_to::<NewsTopic>(peer, &name, news("yours"));
        while tell().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(soon("news", told.next()).await.unwrap().0, news("yours"));
    // What comes after it, to both, is the first that the other hears.
    soon("a subscriber", async {
        let peer = curious.get_local_peer_id();
        let tell = || server.publish_subtopic_to::<NewsTopic>(peer, &name, news("also yours"));
        while tell().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let (item, _) = soon("news", overheard.next()).await.unwrap();
    assert_eq!(item, news("also yours"));
    server.close().await;
}
