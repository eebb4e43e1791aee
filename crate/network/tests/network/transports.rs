//! Several transports: which of them is used, and what becomes of a peer that has an address of each.

use std::sync::Arc;

use futures::{StreamExt, future::join};
use libp2p::{Multiaddr, PeerId, core::multihash::Multihash, multiaddr::Protocol};
use pico_network::{
    Config, ConfigError, DialError, Network, NetworkNotice, NoticeStream, Transport, Transports,
};

use crate::common::{config, full, soon};

/// Nobody listens there.
const NOWHERE: &str = "/ip4/127.0.0.1/tcp/9/ws";

const WEBSOCKET: Transports = Transports {
    websocket: true,
    webrtc: false,
};
const WEBRTC: Transports = Transports {
    websocket: false,
    webrtc: true,
};

struct Gateway {
    _network: Arc<Network>,
    notices: NoticeStream,
    peer: PeerId,
    websocket: Multiaddr,
    webrtc: Multiaddr,
}

/// A peer that listens on both.
async fn gateway() -> Gateway {
    let config = Config {
        provided_services: full(),
        ..config(vec![])
    };
    let peer = config.identity.public().to_peer_id();
    let network = Network::new(config).unwrap();
    let listen = |address: &str| {
        let (network, address) = (Arc::clone(&network), address.parse().unwrap());
        async move { network.listen_on(address).await.unwrap() }
    };
    let websocket = listen("/ip4/127.0.0.1/tcp/0/ws").await;
    let webrtc = listen("/ip4/127.0.0.1/udp/0/webrtc-direct").await;
    Gateway {
        notices: network.subscribe(),
        _network: network,
        peer,
        websocket,
        webrtc,
    }
}

fn of(peer: PeerId, address: &Multiaddr) -> Multiaddr {
    address.clone().with(Protocol::P2p(peer))
}

/// The transport by which the first peer has joined.
async fn joined(network: &Network) -> Transport {
    let mut notices = network.subscribe();
    network.start_connecting();
    soon("a peer", async {
        loop {
            match notices.next().await {
                Some(Ok(NetworkNotice::PeerJoined { transport, .. })) => return transport,
                Some(_) => {}
                None => panic!("the network has ended"),
            }
        }
    })
    .await
}

#[tokio::test]
async fn only_those_that_may_be_used() {
    let gateway = gateway().await;
    for (transports, expected) in [
        (WEBSOCKET, Transport::WebSocket),
        (WEBRTC, Transport::WebRtc),
    ] {
        let network = Network::new(Config {
            transports,
            ..config(vec![gateway.websocket.clone(), gateway.webrtc.clone()])
        });
        let network = network.unwrap();
        assert_eq!(joined(&network).await, expected);
        let other = match expected {
            Transport::WebSocket => &gateway.webrtc,
            Transport::WebRtc => &gateway.websocket,
        };
        let error = network.dial(other.clone()).await.unwrap_err();
        assert!(matches!(error, DialError::TransportOff { .. }), "{error}");
        network.close().await;
    }
}

#[tokio::test]
async fn when_one_fails_the_other_is_tried() {
    let gateway = gateway().await;
    // A port that is nobody's, and a certificate that is another's.
    let nowhere = of(gateway.peer, &NOWHERE.parse().unwrap());
    let mut stranger = gateway.webrtc.clone();
    stranger.pop();
    let hash = Multihash::<64>::wrap(0x12, &[7; 32]).unwrap();
    let stranger = of(gateway.peer, &stranger.with(Protocol::Certhash(hash)));
    for (seeds, expected) in [
        (
            [nowhere, of(gateway.peer, &gateway.webrtc)],
            Transport::WebRtc,
        ),
        (
            [stranger, of(gateway.peer, &gateway.websocket)],
            Transport::WebSocket,
        ),
    ] {
        let network = Network::new(config(seeds.to_vec())).unwrap();
        assert_eq!(joined(&network).await, expected);
        network.close().await;
    }
}

#[tokio::test]
async fn a_peer_gets_one_connection() {
    let mut gateway = gateway().await;
    let network = Network::new(config(vec![])).unwrap();
    // Without its id, nobody knows that it is the same.
    let (first, second) = join(
        network.dial(gateway.websocket.clone()),
        network.dial(gateway.webrtc.clone()),
    )
    .await;
    assert_eq!((first, second), (Ok(gateway.peer), Ok(gateway.peer)));
    assert_eq!(network.peer_count(), 1);
    // There is nothing left of the second one that could keep the peer.
    network.disconnect(gateway.peer).await;
    soon("the end of the connection", async {
        loop {
            if let Some(Ok(NetworkNotice::PeerLeft { .. })) = gateway.notices.next().await {
                break;
            }
        }
    })
    .await;
    network.close().await;
}

#[tokio::test]
async fn nothing_to_dial_is_said_at_once() {
    let gateway = gateway().await;
    let with = |transports, seeds| {
        Network::new(Config {
            transports,
            ..config(seeds)
        })
    };
    let none = Transports {
        websocket: false,
        webrtc: false,
    };
    assert!(matches!(
        with(none, vec![]).unwrap_err(),
        ConfigError::NoTransport(_)
    ));
    assert_eq!(
        with(WEBRTC, vec![gateway.websocket.clone()]).unwrap_err(),
        ConfigError::NothingToDial(Transport::WebSocket)
    );
    assert_eq!(
        with(WEBSOCKET, vec![gateway.webrtc]).unwrap_err(),
        ConfigError::NothingToDial(Transport::WebRtc)
    );
    let secure = Config {
        secure_only: true,
        ..config(vec![gateway.websocket])
    };
    assert!(matches!(
        Network::new(secure).unwrap_err(),
        ConfigError::InsecureSeed(_)
    ));
}
