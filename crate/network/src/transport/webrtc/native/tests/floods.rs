//! What arrives at a socket that everybody can send to.

use super::*;
use crate::transport::webrtc::native::stun::Names;

/// Sockets that pretend to be so many clients.
async fn crowd(count: usize, server: SocketAddr) -> Vec<UdpSocket> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let socket = bind(([127, 0, 0, 1], 0).into()).unwrap();
        socket.connect(server).await.unwrap();
        sockets.push(socket);
    }
    sockets
}

pub(super) fn request(crypto: &CryptoProvider, names: &Names) -> Vec<u8> {
    let user = format!("{}:{}", names.server, names.client);
    let transaction = str0m::ice::TransId::new();
    let message = str0m::ice::StunMessage::binding_request(&user, transaction, true, 1, 1, true);
    let mut bytes = vec![0; 1000];
    let hmac = |key: &[u8], parts: &[&[u8]]| crypto.sha1_hmac_provider.sha1_hmac(key, parts);
    let length = message
        .to_bytes(Some(names.server.as_bytes()), &mut bytes, hmac)
        .unwrap();
    bytes.truncate(length);
    bytes
}

/// Clients that begin and don't go on: neither those who stop after the first answer nor those who stop
/// in the middle of DTLS keep others out, and what is kept of them is bounded.
#[tokio::test]
async fn half_open_clients_shut_nobody_out() {
    let (mut server, server_peer, address) = listening().await;
    let context = Arc::clone(&server.context);
    let socket = address::target(&address).unwrap().socket;
    let serving = tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            kept.push(accept(&mut server).await);
        }
    });
    let sockets = crowd(400, socket).await;
    let mut hello = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1];
    hello.resize(53, 0);
    let mut answer = [0; 500];
    let (mut client, _) = transport();
    for round in 0..6 {
        for socket in &sockets {
            let names = Names::new();
            socket
                .send(&request(&context.crypto, &names))
                .await
                .unwrap();
            let length = soon(socket.recv(&mut answer)).await.unwrap();
            assert!(str0m::ice::StunMessage::parse(&answer[..length]).is_ok());
            if round % 2 == 1 {
                socket.send(&hello).await.unwrap();
            }
        }
        let (peer, _) = soon(dial(&mut client, &address)).await.unwrap();
        assert_eq!(peer, server_peer);
        // Ours, the transport's, the socket's, and so many connections.
        assert!(Arc::strong_count(&context) <= limits::MAX_WEBRTC_PENDING + 3 + 8);
    }
    serving.abort();
}

#[tokio::test]
async fn garbage_is_dropped() {
    let (mut server, server_peer, address) = listening().await;
    let context = Arc::clone(&server.context);
    let target = address::target(&address).unwrap().socket;
    let serving = tokio::spawn(async move { accept(&mut server).await });
    let socket = &crowd(1, target).await[0];
    let good = request(&context.crypto, &Names::new());
    let other = Names {
        server: "somebody+else".repeat(3),
        client: "somebody+else".repeat(3),
    };
    let mut wrong = vec![
        vec![],
        vec![0],
        vec![22],
        vec![0; 20],
        vec![255; 1500],
        // Not of libp2p; another password; a signature that is wrong.
        request(&context.crypto, &other),
        good[..good.len() - 1].to_vec(),
    ];
    for at in 0..good.len() {
        let mut bent = good.clone();
        bent[at] ^= 0x55;
        wrong.push(bent);
    }
    for first in 0..=255 {
        let random: [u8; 100] = rand::random();
        wrong.push([&[first][..], &random].concat());
    }
    for bytes in wrong {
        socket.send(&bytes).await.unwrap();
    }
    // Nothing but what is right gets an answer. The transaction shows which one that is of.
    socket.send(&good).await.unwrap();
    let mut answer = [0; 500];
    let length = soon(socket.recv(&mut answer)).await.unwrap();
    assert_eq!(answer[8..20], good[8..20]);
    assert!(
        length < good.len(),
        "answers must not be larger than requests"
    );
    let (mut client, _) = transport();
    let (peer, _) = soon(dial(&mut client, &address)).await.unwrap();
    assert_eq!(peer, server_peer);
    soon(serving).await.unwrap();
}
