//! Addresses that lead nowhere, or to somebody else, and handles that are slow or gone.

use std::time::Duration;

use crate::common::{raw::*, *};
use futures::{StreamExt, future::join_all};
use libp2p::{Multiaddr, PeerId};
use nimiq_network_interface::{network::Network as _, peer_info::Services};
use pico_network::{
    ConfigError, DialError, ListenError, Network, NetworkError, NetworkNotice, limits,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

fn address_of(listener: &TcpListener) -> Multiaddr {
    format!(
        "/ip4/127.0.0.1/tcp/{}/ws",
        listener.local_addr().unwrap().port()
    )
    .parse()
    .unwrap()
}

/// Dials a TCP server that handles its one connection as told.
async fn dial_server<F>(handle: F) -> Result<PeerId, DialError>
where
    F: AsyncFnOnce(TcpStream),
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = address_of(&listener);
    let pico = pico();
    let mut notices = pico.subscribe();
    let result = tokio::select! {
        result = pico.dial(address.clone()) => result,
        () = async {
            handle(listener.accept().await.unwrap().0).await;
            std::future::pending::<()>().await;
        } => unreachable!(),
    };
    // Whoever dialled, it is told to all.
    let failed = notice(&mut notices).await;
    let NetworkNotice::DialFailed {
        address: told,
        error,
        reason,
    } = failed
    else {
        panic!()
    };
    assert_eq!(
        (told, Err(error.clone()), reason),
        (address, result.clone(), error.to_string())
    );
    pico.close().await;
    result
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = address_of(&listener);
    drop(listener);
    let pico = pico();
    let error = soon("the refusal", pico.dial(address)).await.unwrap_err();
    assert!(
        matches!(&error, DialError::Transport(text) if text.contains("refused")),
        "{error}"
    );
    pico.close().await;
}

#[tokio::test]
async fn servers_that_are_no_nodes() {
    let closed = soon("the failure", dial_server(async |stream| drop(stream))).await;
    assert!(matches!(closed, Err(DialError::Transport(_))), "{closed:?}");
    let garbage = soon(
        "the failure",
        dial_server(async |mut stream| {
            stream
                .write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
                .await
                .unwrap();
        }),
    )
    .await;
    assert!(
        matches!(garbage, Err(DialError::Transport(_))),
        "{garbage:?}"
    );
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let patience = limits::UPGRADE_TIMEOUT + Duration::from_secs(5);
    let silent = dial_server(async |stream| {
        let _kept = stream;
        std::future::pending::<()>().await;
    });
    let result = tokio::time::timeout(patience, silent)
        .await
        .expect("it ends by itself");
    assert!(matches!(result, Err(DialError::Transport(_))), "{result:?}");
}

#[tokio::test]
async fn dials_are_limited_and_shared() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = |i: u32| -> Multiaddr {
        format!("/ip4/127.0.0.{}/tcp/{port}/ws", i + 1)
            .parse()
            .unwrap()
    };
    let pico = pico();
    let pending = join_all((0..limits::MAX_PENDING_OUTGOING).map(|i| pico.dial(address(i))));
    let checks = async {
        // All of those are under way once the last has been connected.
        let mut silent = Vec::new();
        for _ in 0..limits::MAX_PENDING_OUTGOING {
            silent.push(listener.accept().await.unwrap());
        }
        assert_eq!(pico.dial(address(100)).await, Err(DialError::Limit));
        // Where somebody dials already, no second dial is needed.
        let same = pico.dial(address(0));
        let (same, ()) = tokio::join!(same, async { pico.stop() });
        assert_eq!(same, Err(DialError::Offline));
    };
    let (results, ()) = soon("the dials", async { tokio::join!(pending, checks) }).await;
    assert!(
        results
            .iter()
            .all(|result| *result == Err(DialError::Offline)),
        "{results:?}"
    );
    pico.close().await;
}

#[tokio::test]
async fn somebody_else_answers() {
    let (_node, address) = node().await;
    let pico = pico();
    let expected = PeerId::random();
    let error = soon("the mismatch", pico.dial(with_peer(&address, expected)))
        .await
        .unwrap_err();
    assert_eq!(error, DialError::WrongPeer(_node.get_local_peer_id()));
    assert!(pico.peers().is_empty());
    pico.close().await;
}

#[tokio::test]
async fn we_answer_ourselves() {
    let (pico, address) = listening_pico(Services::empty()).await;
    let error = soon("the mirror", pico.dial(address)).await.unwrap_err();
    assert_eq!(error, DialError::Own);
    pico.close().await;
}

#[tokio::test]
async fn addresses_that_are_not_dialled() {
    let mut config = config(vec![]);
    config.secure_only = true;
    let pico = Network::new(config.clone()).unwrap();
    let insecure: Multiaddr = "/ip4/127.0.0.1/tcp/1/ws".parse().unwrap();
    assert_eq!(
        pico.dial(insecure.clone()).await,
        Err(DialError::Insecure(insecure.clone()))
    );
    let quic: Multiaddr = "/ip4/127.0.0.1/udp/1/quic-v1".parse().unwrap();
    assert_eq!(
        pico.dial(quic.clone()).await,
        Err(DialError::Unsupported(quic.clone()))
    );
    let peer = PeerId::random();
    assert_eq!(
        pico.dial_peer(peer).await,
        Err(NetworkError::Dial(DialError::UnknownPeer(peer)))
    );
    assert!(matches!(
        pico.listen_on(quic.clone()).await,
        Err(ListenError::Refused { .. })
    ));
    pico.close().await;
    assert_eq!(
        pico.listen_on(listen_address()).await,
        Err(ListenError::Closed)
    );

    config.seeds = vec![insecure.clone()];
    assert_eq!(
        Network::new(config.clone()).unwrap_err(),
        ConfigError::InsecureSeed(insecure)
    );
    config.seeds = vec![quic.clone()];
    assert_eq!(
        Network::new(config.clone()).unwrap_err(),
        ConfigError::Seed(quic)
    );
    config.seeds = vec![];
    config.desired_peers = 0;
    assert_eq!(
        Network::new(config.clone()).unwrap_err(),
        ConfigError::DesiredPeers(0)
    );
}

#[tokio::test]
async fn a_slow_listener_to_notices_is_told_what_it_missed() {
    let pico = pico();
    let mut slow = pico.subscribe();
    let quic: Multiaddr = "/ip4/127.0.0.1/udp/1/quic-v1".parse().unwrap();
    let missed = 10;
    for _ in 0..limits::EVENT_QUEUE + missed {
        pico.dial(quic.clone()).await.unwrap_err();
    }
    assert!(matches!(slow.next().await, Some(Err(_))));
    for _ in 0..limits::EVENT_QUEUE {
        assert!(matches!(
            slow.next().await,
            Some(Ok(NetworkNotice::DialFailed { .. }))
        ));
    }
    pico.close().await;
    assert!(slow.next().await.is_none());
}

#[tokio::test]
async fn dropping_the_last_handle_closes_everything() {
    let (node, address) = node().await;
    let pico = pico();
    connect(&pico, &node, &address).await;
    let mut events = pico.subscribe_events();
    let mut theirs = node.subscribe_events();
    let id = pico.get_local_peer_id();
    drop(pico);
    assert_eq!(left(&mut theirs).await, id);
    assert_eq!(left(&mut events).await, node.get_local_peer_id());
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn useless_peers_are_let_go_when_there_are_enough() {
    let (pico, our_address) = listening_pico(full()).await;
    let mut notices = pico.subscribe();
    let mut others = Vec::new();
    for _ in 0..limits::MAX_USELESS_PEERS {
        let other = crate::common::pico();
        soon("the dial", other.dial(our_address.clone()))
            .await
            .unwrap();
        assert!(matches!(
            notice(&mut notices).await,
            NetworkNotice::PeerJoined { .. }
        ));
        others.push(other);
    }
    let surplus = crate::common::pico();
    let mut theirs = surplus.subscribe();
    // It may count us for a moment, before it is hung up on.
    let _either = soon("the dial", surplus.dial(our_address.clone())).await;
    soon("the end of it", async {
        loop {
            match theirs.next().await.unwrap().unwrap() {
                NetworkNotice::PeerLeft { .. } | NetworkNotice::DialFailed { .. } => return,
                NetworkNotice::PeerJoined { .. } => {}
            }
        }
    })
    .await;
    assert_eq!(pico.peer_count(), limits::MAX_USELESS_PEERS);
    // A useful one is welcome.
    let mut raw = Raw::dial(&our_address, &[DISCOVERY]).await;
    let _streams = raw.handshake().await;
    assert!(matches!(
        notice(&mut notices).await,
        NetworkNotice::PeerJoined { .. }
    ));
    pico.close().await;
    for other in others {
        other.close().await;
    }
}
