//! Two networks of ours over WebRTC: the same as over WebSocket, and what is different.

use std::sync::Arc;

use futures::StreamExt;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use nimiq_network_interface::network::{MsgAcceptance, Network as _};
use pico_network::{Certificate, DialError, ListenError, Network, Transport};

use crate::{common::*, interop::publish};

const ANY: &str = "/ip4/127.0.0.1/udp/0/webrtc-direct";

/// A network that listens over WebRTC.
async fn listening() -> (Arc<Network>, Multiaddr) {
    let mut config = config(vec![]);
    config.provided_services = full();
    let network = Network::new(config).unwrap();
    let address = network.listen_on(ANY.parse().unwrap()).await.unwrap();
    (network, address)
}

/// Two that are connected, from both points of view.
async fn connected() -> (Arc<Network>, Arc<Network>) {
    let (server, address) = listening().await;
    let client = pico();
    let mut events = server.subscribe_events();
    let peer = soon("the dial", client.dial(address)).await.unwrap();
    assert_eq!(peer, server.get_local_peer_id());
    assert_eq!(joined(&mut events).await, client.get_local_peer_id());
    (client, server)
}

/// Asks for an answer of so many bytes.
async fn ask(asker: &Network, answerer: &Network, bytes: usize) {
    let mut questions = answerer.receive_requests::<Question>();
    let question = Question {
        number: 7,
        padding: vec![1; 10_000],
    };
    let peer = answerer.get_local_peer_id();
    let answering = async {
        let (question, id, _) = questions.next().await.unwrap();
        let answer = Answer {
            number: question.number + 1,
            padding: vec![2; bytes],
        };
        answerer.respond::<Question>(id, answer).await.unwrap();
    };
    let exchange = async { tokio::join!(asker.request(question, peer), answering) };
    let (answer, ()) = soon("an answer", exchange).await;
    let answer = answer.unwrap();
    assert_eq!((answer.number, answer.padding.len()), (8, bytes));
}

#[tokio::test]
async fn everything_goes_over_it() {
    let (client, server) = connected().await;
    for (network, dialled) in [(&client, true), (&server, false)] {
        let peers = network.peers();
        assert_eq!(peers.len(), 1);
        assert_eq!(peers[0].transport, Transport::WebRtc);
        assert_eq!(peers[0].dialled, dialled);
    }
    ask(&client, &server, 100).await;
    ask(&server, &client, 100).await;

    let mut news = nimiq_network_interface::network::Network::subscribe::<NewsTopic>(&*client)
        .await
        .unwrap();
    let item = News {
        text: "over WebRTC".to_owned(),
    };
    publish(|| server.publish::<NewsTopic>(item.clone())).await;
    let (received, id) = soon("news", news.next()).await.unwrap();
    assert_eq!(received, item);
    client.validate_message::<NewsTopic>(id, MsgAcceptance::Accept);

    for network in [&client, &server] {
        let traffic = network.traffic();
        assert!(traffic.bytes_received > 10_000 && traffic.bytes_sent > 10_000);
    }
    let mut events = server.subscribe_events();
    client.close().await;
    assert_eq!(left(&mut events).await, client.get_local_peer_id());
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers() {
    let (client, server) = connected().await;
    let most = pico_network::limits::MAX_RESPONSE_BYTES - 100;
    ask(&client, &server, most).await;
    ask(&server, &client, most).await;
    client.close().await;
    server.close().await;
}

/// What was dropped is told to both, and the address can be dialled again, many times.
#[tokio::test]
async fn again_and_again() {
    let (server, address) = listening().await;
    let client = pico();
    for _ in 0..20 {
        let mut theirs = server.subscribe_events();
        let peer = soon("the dial", client.dial(address.clone()))
            .await
            .unwrap();
        assert_eq!(joined(&mut theirs).await, client.get_local_peer_id());
        client.disconnect(peer).await;
        assert_eq!(left(&mut theirs).await, client.get_local_peer_id());
    }
    client.close().await;
    server.close().await;
}

#[tokio::test]
async fn who_is_not_who_was_meant() {
    let (server, address) = listening().await;
    let client = pico();
    let somebody = PeerId::random();
    let wrong = with_peer(&address, somebody);
    let error = soon("the refusal", client.dial(wrong)).await.unwrap_err();
    assert_eq!(error, DialError::WrongPeer(server.get_local_peer_id()));

    let certificate = Certificate::generate().unwrap();
    let mut wrong = address.clone();
    wrong.pop();
    wrong.push(Protocol::Certhash(certificate.certhash()));
    let error = soon("the refusal", client.dial(wrong)).await.unwrap_err();
    assert!(error.to_string().contains("/certhash"), "{error}");
    // That hurts nobody.
    let right = with_peer(&address, server.get_local_peer_id());
    soon("the dial", client.dial(right)).await.unwrap();
    client.close().await;
    server.close().await;
}

#[tokio::test]
async fn a_certificate_that_is_kept_keeps_the_address() {
    let certificate = Certificate::generate().unwrap();
    let again = Certificate::from_pem(&certificate.to_pem()).unwrap();
    let mut addresses = Vec::new();
    let mut wanted: Multiaddr = ANY.parse().unwrap();
    for certificate in [certificate, again] {
        let mut config = config(vec![]);
        config.certificate = Some(certificate);
        let network = Network::new(config).unwrap();
        let address = network.listen_on(wanted).await.unwrap();
        wanted = address.clone();
        wanted.pop();
        addresses.push(address);
        network.close().await;
    }
    assert_eq!(addresses[0], addresses[1]);
}

#[tokio::test]
async fn every_interface_has_an_address() {
    let network = pico();
    let any = "/ip4/0.0.0.0/udp/0/webrtc-direct".parse().unwrap();
    let first = network.listen_on(any).await.unwrap();
    let all = network.listen_addresses().await;
    assert!(all.contains(&first));
    let loopback = all
        .iter()
        .find(|address| address.to_string().starts_with("/ip4/127.0.0.1/"));
    let client = pico();
    let peer = soon("the dial", client.dial(loopback.unwrap().clone())).await;
    assert_eq!(peer, Ok(network.get_local_peer_id()));
    // The same port everywhere, and it is taken now.
    let ports: Vec<_> = all.iter().map(|address| address.iter().nth(1)).collect();
    assert!(ports.iter().all(|port| *port == ports[0]));
    let mut taken = first;
    taken.pop();
    let refused = network.listen_on(taken).await.unwrap_err();
    assert!(matches!(refused, ListenError::Refused { .. }), "{refused}");
    client.close().await;
    network.close().await;
    assert_eq!(network.listen_addresses().await, Vec::<Multiaddr>::new());
}

#[tokio::test]
async fn clients_of_both_transports_meet() {
    let (server, webrtc) = listening().await;
    let websocket = server.listen_on(listen_address()).await.unwrap();
    let mut clients = Vec::new();
    for address in [webrtc, websocket] {
        let client = pico();
        soon("the dial", client.dial(address)).await.unwrap();
        clients.push(client);
    }
    for client in &clients {
        ask(client, &server, 10).await;
        ask(&server, client, 10).await;
    }
    let mut transports: Vec<_> = server.peers().iter().map(|peer| peer.transport).collect();
    transports.sort_by_key(|transport| *transport == Transport::WebRtc);
    assert_eq!(transports, [Transport::WebSocket, Transport::WebRtc]);
    for client in clients {
        client.close().await;
    }
    server.close().await;
}
