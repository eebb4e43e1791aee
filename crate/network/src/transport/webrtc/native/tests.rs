#![allow(clippy::unwrap_used, clippy::panic)]
//! Two transports, without a swarm on top.

mod floods;
mod loss;
mod same_port;

use std::{future::poll_fn, time::Duration};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, future::join};
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

/// Has a listener go on.
fn keep(mut transport: Transport) {
    tokio::spawn(async move { poll_fn(|cx| Pin::new(&mut transport).poll(cx)).await });
}

/// Two ends of one connection.
async fn connected() -> (StreamMuxerBox, StreamMuxerBox) {
    let (mut server, server_peer, address) = listening().await;
    let (mut client, client_peer) = transport();
    let (near, far) = join(dial(&mut client, &address), accept(&mut server)).await;
    let ((peer, near), (other, far)) = (near.unwrap(), far);
    assert_eq!((peer, other), (server_peer, client_peer));
    keep(server);
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

/// Each request is a stream of its own, so their numbers must be given back.
#[tokio::test]
async fn thousands_of_streams_one_after_the_other() {
    let (near, far) = connected().await;
    let both = [near, far].map(|muxer| tokio::spawn(asks_and_echoes(muxer)));
    for one in both {
        one.await.unwrap();
    }
}

/// Asks a lot, and answers what the other side asks, until both are done.
async fn asks_and_echoes(mut muxer: StreamMuxerBox) {
    const COUNT: usize = 5000;
    let (mut asked, mut answered) = (0, 0);
    let mut asking = None;
    let mut answering = futures::stream::FuturesUnordered::new();
    while asked < COUNT || answered < COUNT {
        if asking.is_none() && asked < COUNT {
            let stream = open(&mut muxer).await;
            asking = Some(Box::pin(ask(stream, b"what a small question")));
        }
        poll_fn(|cx| {
            if let Some(work) = &mut asking
                && work.as_mut().poll(cx).is_ready()
            {
                asking = None;
                asked += 1;
                return Poll::Ready(());
            }
            if let Poll::Ready(stream) = muxer.poll_inbound_unpin(cx) {
                answering.push(answer(stream.unwrap()));
                return Poll::Ready(());
            }
            match answering.poll_next_unpin(cx) {
                Poll::Ready(Some(())) => {
                    answered += 1;
                    Poll::Ready(())
                }
                _ => Poll::Pending,
            }
        })
        .await;
    }
}

async fn answer(mut stream: SubstreamBox) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    stream.close().await.unwrap();
}

#[tokio::test]
async fn hundreds_of_streams_at_once() {
    let (mut near, far) = connected().await;
    tokio::spawn(echo(far));
    let mut asking = futures::stream::FuturesUnordered::new();
    for number in 0..1000_u16 {
        while asking.len() >= 200 {
            soon(asking.next()).await;
        }
        let stream = open(&mut near).await;
        asking.push(async move { ask(stream, &number.to_be_bytes().repeat(100)).await });
    }
    while soon(asking.next()).await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_both_ways() {
    let (mut near, mut far) = connected().await;
    let (one, two) = join(open(&mut near), open(&mut far)).await;
    let big: Vec<u8> = (0..10 * 1024 * 1024_u32).map(|i| (i % 251) as u8).collect();
    tokio::spawn(echo(near));
    tokio::spawn(echo(far));
    soon(join(ask(one, &big), ask(two, &big))).await;
}

/// What the server opens at once must arrive, however the client's first moments go.
#[tokio::test]
async fn streams_of_the_first_moment_are_not_lost() {
    let (mut server, _, address) = listening().await;
    let context = Arc::clone(&server.context);
    let serving = tokio::spawn(async move {
        loop {
            let (_, mut muxer) = accept(&mut server).await;
            tokio::spawn(async move {
                for number in 0..3_u8 {
                    let mut stream = open(&mut muxer).await;
                    stream.write_all(&[number]).await.unwrap();
                    stream.close().await.unwrap();
                }
                poll_fn(|cx| muxer.poll_unpin(cx)).await.unwrap_err();
            });
        }
    });
    let (mut client, _) = transport();
    for _ in 0..200 {
        let (_, mut muxer) = soon(dial(&mut client, &address)).await.unwrap();
        for number in 0..3 {
            let mut bytes = Vec::new();
            let mut stream = take(&mut muxer).await;
            soon(stream.read_to_end(&mut bytes)).await.unwrap();
            assert_eq!(bytes, [number]);
        }
        soon(poll_fn(|cx| muxer.poll_close_unpin(cx)))
            .await
            .unwrap();
    }
    // And nothing is left of them: ours, the transport's, and the socket's.
    soon(until(|| Arc::strong_count(&context) == 3)).await;
    serving.abort();
}

/// Waits for something that nothing else tells.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_goodbye_is_heard() {
    let (near, mut far) = connected().await;
    drop(near);
    let error = soon(poll_fn(|cx| far.poll_unpin(cx))).await.unwrap_err();
    assert!(
        error.to_string().contains("closed by the other side"),
        "{error}"
    );
    assert!(
        soon(poll_fn(|cx| far.poll_outbound_unpin(cx)))
            .await
            .is_err()
    );
    assert!(
        soon(poll_fn(|cx| far.poll_inbound_unpin(cx)))
            .await
            .is_err()
    );
    soon(poll_fn(|cx| far.poll_close_unpin(cx))).await.unwrap();
}

#[tokio::test]
async fn streams_end_with_the_connection() {
    let (mut near, mut far) = connected().await;
    let mut stream = open(&mut near).await;
    stream.write_all(b"x").await.unwrap();
    let mut other = take(&mut far).await;
    soon(poll_fn(|cx| near.poll_close_unpin(cx))).await.unwrap();
    let mut bytes = Vec::new();
    assert!(soon(other.read_to_end(&mut bytes)).await.is_err());
    assert!(soon(stream.read(&mut [0])).await.is_err());
    assert!(stream.write(b"x").await.is_err());
}

/// Who sends more than anybody reads loses the stream, and only that.
#[tokio::test]
async fn a_stream_that_nobody_reads_is_reset() {
    let (mut near, mut far) = connected().await;
    let mut flood = open(&mut near).await;
    flood.write_all(b"x").await.unwrap();
    let mut unread = take(&mut far).await;
    let mut other = open(&mut near).await;
    other.write_all(b"first").await.unwrap();
    let mut calm = take(&mut far).await;
    let flooding = async {
        let some = vec![1; 64 * 1024];
        let mut sent = 0;
        while flood.write_all(&some).await.is_ok() {
            sent += some.len();
        }
        sent
    };
    let sent = tokio::time::timeout(Duration::from_secs(120), flooding)
        .await
        .unwrap();
    assert!(sent <= 2 * limits::MAX_WEBRTC_READ_BUFFER, "{sent}");
    let mut bytes = Vec::new();
    assert!(soon(unread.read_to_end(&mut bytes)).await.is_err());
    assert!(bytes.len() <= limits::MAX_WEBRTC_READ_BUFFER);
    other.write_all(b", second").await.unwrap();
    other.close().await.unwrap();
    let mut bytes = Vec::new();
    soon(calm.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes, b"first, second");
}

#[tokio::test]
async fn another_certificate_is_not_accepted() {
    let (mut server, _, address) = listening().await;
    let serving = tokio::spawn(async move { next(&mut server).await });
    let socket = address::target(&address).unwrap().socket;
    let other = Certificate::generate().unwrap().fingerprint();
    let (mut client, _) = transport();
    let error = soon(dial(&mut client, &listening::of(socket, Some(other))))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Lost(End::Certificate)), "{error:?}");
    serving.abort();
}

#[tokio::test]
async fn that_nobody_listens_is_known_at_once() {
    let nobody = StdUdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let some = Certificate::generate().unwrap().fingerprint();
    let (mut client, _) = transport();
    let error = soon(dial(&mut client, &listening::of(nobody, Some(some))))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Lost(End::Refused)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_not_waited_for_for_ever() {
    let silent = StdUdpSocket::bind("127.0.0.1:0").unwrap();
    let some = Certificate::generate().unwrap().fingerprint();
    let address = listening::of(silent.local_addr().unwrap(), Some(some));
    let (mut client, _) = transport();
    let error = dial(&mut client, &address).await.unwrap_err();
    assert!(matches!(error, Error::Timeout), "{error:?}");
}

#[tokio::test]
async fn other_addresses_are_left_to_others() {
    let (mut transport, _) = transport();
    let address: Multiaddr = "/ip4/127.0.0.1/tcp/0/ws".parse().unwrap();
    let refused = transport.listen_on(ListenerId::next(), address.clone());
    assert!(matches!(refused, Err(TransportError::MultiaddrNotSupported(it)) if it == address));
    // In use.
    let (server, _, listening) = listening().await;
    let mut address = listening;
    address.pop();
    let taken = transport.listen_on(ListenerId::next(), address);
    assert!(matches!(
        taken,
        Err(TransportError::Other(Error::Socket(_)))
    ));
    drop(server);
}

/// A client that is gone without a goodbye. Nothing tells but its silence, and that takes its time.
#[tokio::test]
async fn silence_is_noticed() {
    let (mut server, _, address) = listening().await;
    let other = tokio::runtime::Runtime::new().unwrap();
    let connecting = other.spawn(async move {
        let (mut client, _) = transport();
        dial(&mut client, &address).await.unwrap()
    });
    let (_, mut muxer) = accept(&mut server).await;
    let kept = soon(connecting).await.unwrap();
    keep(server);
    // Its tasks end where they are.
    other.shutdown_background();
    let lost = poll_fn(|cx| muxer.poll_unpin(cx));
    let error = tokio::time::timeout(Duration::from_secs(60), lost)
        .await
        .unwrap()
        .unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
    drop(kept);
}
