#![allow(clippy::unwrap_used, clippy::panic)]
//! Two transports, without a swarm on top.

use std::{future::poll_fn, time::Duration};

use futures::{AsyncReadExt, AsyncWriteExt, future::join};
use libp2p::{
    Transport as _,
    core::{
        Endpoint,
        muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerExt, SubstreamBox},
        transport::PortUse,
    },
};

use super::*;

fn transport() -> (Transport, PeerId) {
    let identity = Keypair::generate_ed25519();
    let peer = identity.public().to_peer_id();
    let certificate = Certificate::generate().unwrap();
    (
        Transport::new(&identity, certificate, &Arc::default()),
        peer,
    )
}

async fn next(transport: &mut Transport) -> Event {
    let event = poll_fn(|cx| Pin::new(&mut *transport).poll(cx));
    soon(event).await
}

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .unwrap()
}

async fn listening() -> (Transport, PeerId, Multiaddr) {
    let (mut transport, peer) = transport();
    let any = "/ip4/127.0.0.1/udp/0/webrtc-direct".parse().unwrap();
    transport.listen_on(ListenerId::next(), any).unwrap();
    let TransportEvent::NewAddress { listen_addr, .. } = next(&mut transport).await else {
        panic!()
    };
    (transport, peer, listen_addr)
}

fn dial(transport: &mut Transport, address: &Multiaddr) -> <Transport as libp2p::Transport>::Dial {
    let options = DialOpts {
        role: Endpoint::Dialer,
        port_use: PortUse::New,
    };
    transport.dial(address.clone(), options).unwrap()
}

/// The next connection of a listener.
async fn accept(transport: &mut Transport) -> (PeerId, StreamMuxerBox) {
    match next(transport).await {
        TransportEvent::Incoming { upgrade, .. } => upgrade.await.unwrap(),
        event => panic!("{event:?}"),
    }
}

/// Two ends of one connection.
async fn connected() -> (StreamMuxerBox, StreamMuxerBox) {
    let (mut server, server_peer, address) = listening().await;
    let (mut client, client_peer) = transport();
    let (near, far) = join(dial(&mut client, &address), accept(&mut server)).await;
    let ((peer, near), (other, far)) = (near.unwrap(), far);
    assert_eq!((peer, other), (server_peer, client_peer));
    // The listener's task must go on.
    tokio::spawn(async move { next(&mut server).await });
    (near, far)
}

async fn open(muxer: &mut StreamMuxerBox) -> SubstreamBox {
    soon(poll_fn(|cx| muxer.poll_outbound_unpin(cx)))
        .await
        .unwrap()
}

async fn take(muxer: &mut StreamMuxerBox) -> SubstreamBox {
    soon(poll_fn(|cx| muxer.poll_inbound_unpin(cx)))
        .await
        .unwrap()
}

/// Sends back all that comes, on each stream.
async fn echo(mut muxer: StreamMuxerBox) {
    while let Ok(mut stream) = poll_fn(|cx| Pin::new(&mut muxer).poll_inbound(cx)).await {
        tokio::spawn(async move {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            stream.close().await.unwrap();
        });
    }
}

async fn ask(mut stream: SubstreamBox, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.close().await.unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, bytes);
}

#[tokio::test]
async fn streams_in_both_directions() {
    let (mut near, mut far) = connected().await;
    let (one, mut other) = join(open(&mut near), async {
        let mut stream = open(&mut far).await;
        stream.write_all(b"hello").await.unwrap();
        stream
    })
    .await;
    let mut taken = take(&mut near).await;
    let mut five = [0; 5];
    soon(taken.read_exact(&mut five)).await.unwrap();
    assert_eq!(&five, b"hello");
    other.close().await.unwrap();
    assert_eq!(soon(taken.read(&mut five)).await.unwrap(), 0);
    tokio::spawn(echo(far));
    soon(ask(one, &[7; 100_000])).await;
}
