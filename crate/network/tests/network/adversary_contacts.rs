//! Peers that do an honest handshake and misbehave afterwards; contacts, clocks and pings.

use std::sync::Arc;

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
use libp2p::{core::muxing::SubstreamBox, identity::Keypair};
use nimiq_network_interface::{network::Network as _, peer_info::Services};
use pico_network::{
    DialError, DiscoveryError, LeaveReason, Network, NetworkNotice,
    discovery::{contact::SignedPeerContact, messages::DiscoveryMessage},
    limits,
};

use crate::common::{raw::*, *};

/// Connects a raw peer that is honest at first, and returns why it left in the end.
async fn after_the_handshake<F>(behave: F) -> (Arc<Network>, LeaveReason)
where
    F: AsyncFnOnce(Raw, SubstreamBox, SubstreamBox),
{
    let pico = pico();
    let mut notices = pico.subscribe();
    let listener = RawListener::bind().await;
    let address = listener.address.clone();
    let (peer, left) = soon("the outcome", async {
        let left = async {
            assert!(matches!(
                notice(&mut notices).await,
                NetworkNotice::PeerJoined { .. }
            ));
            match notice(&mut notices).await {
                NetworkNotice::PeerLeft { cause, peer_id, .. } => (peer_id, cause),
                notice => panic!("{notice:?}"),
            }
        };
        let behave = async {
            let mut raw = listener.accept(&[DISCOVERY]).await;
            let (write, read) = raw.handshake().await;
            behave(raw, write, read).await;
        };
        let (peer, left, ()) = tokio::join!(pico.dial(address), left, behave);
        (peer.unwrap(), left)
    })
    .await;
    assert_eq!(left.0, peer);
    assert!(pico.peers().is_empty());
    (pico, left.1)
}

#[tokio::test]
async fn updates_too_often() {
    let (pico, reason) = after_the_handshake(async |mut raw: Raw, mut write, _read| {
        let update = DiscoveryMessage::PeerAddresses {
            peer_contacts: vec![],
        };
        for _ in 0..=limits::UPDATE_BURST {
            send(&mut write, &update).await;
        }
        raw.closed().await;
    })
    .await;
    assert_eq!(
        reason,
        LeaveReason::Discovery(DiscoveryError::TooFrequentUpdates)
    );
    pico.close().await;
}

#[tokio::test]
async fn passes_on_forged_contacts() {
    let (pico, reason) = after_the_handshake(async |mut raw: Raw, mut write, _read| {
        let addresses = vec![listen_address()];
        let good = contact(&Keypair::generate_ed25519(), addresses.clone(), full());
        let mut forged = contact(&Keypair::generate_ed25519(), addresses, full());
        forged.inner.timestamp -= 1;
        let update = DiscoveryMessage::PeerAddresses {
            peer_contacts: vec![good, forged],
        };
        send(&mut write, &update).await;
        raw.closed().await;
    })
    .await;
    assert_eq!(
        reason,
        LeaveReason::Discovery(DiscoveryError::ForgedContact)
    );
    assert_eq!(pico.known_contacts(), 1);
    pico.close().await;
}

#[tokio::test]
async fn hangs_up_in_different_ways() {
    let (pico, reason) = after_the_handshake(async |raw: Raw, _write, _read| drop(raw)).await;
    assert!(
        matches!(reason, LeaveReason::Closed(_) | LeaveReason::Discovery(_)),
        "{reason:?}"
    );
    pico.close().await;
    let (pico, reason) = after_the_handshake(async |mut raw: Raw, mut write, _read| {
        write.close().await.unwrap();
        raw.closed().await;
    })
    .await;
    assert_eq!(reason, LeaveReason::Discovery(DiscoveryError::StreamEnded));
    pico.close().await;
}

#[tokio::test]
async fn useful_contacts_are_kept_and_the_rest_is_not() {
    let key = Keypair::generate_ed25519;
    let addresses = vec![listen_address()];
    let (pico, _) = after_the_handshake(async |raw: Raw, mut write, _read| {
        let mut old = contact(&key(), addresses.clone(), full());
        // Never checked, because it is of no use: it may as well be forged.
        old.inner.timestamp -= limits::MAX_CONTACT_AGE.as_secs() + 60;
        let useful = contact(&key(), addresses.clone(), full());
        let peer_contacts = vec![
            old,
            contact(&key(), addresses.clone(), Services::empty()),
            contact(&key(), vec![], full()),
            contact(&raw.keypair, addresses.clone(), full()),
            useful.clone(),
            useful,
        ];
        send(
            &mut write,
            &DiscoveryMessage::PeerAddresses { peer_contacts },
        )
        .await;
        // Read behind the update, so the update is through when the connection is gone.
        write.close().await.unwrap();
        let mut raw = raw;
        raw.closed().await;
    })
    .await;
    soon("the contacts", async {
        while pico.known_contacts() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(pico.known_contacts(), 2);
    pico.close().await;
}

#[tokio::test]
async fn clocks_that_are_off_by_an_hour() {
    const HOUR: u64 = 3600;
    for ahead in [true, false] {
        let pico = pico();
        let listener = RawListener::bind().await;
        let address = listener.address.clone();
        let (peer, ours) = soon("both handshakes", async {
            tokio::join!(pico.dial(address), async {
                let mut raw = listener.accept(&[DISCOVERY]).await;
                let (mut write, mut read) = raw.discovery_streams().await;
                send(&mut write, &handshake(genesis())).await;
                let nonce = receive_handshake(&mut read).await;
                let mut ack = raw.ack(&nonce, vec![]);
                let now = if ahead {
                    now_secs() + HOUR
                } else {
                    now_secs() - HOUR
                };
                if let DiscoveryMessage::HandshakeAck { peer_contact, .. } = &mut ack {
                    *peer_contact =
                        SignedPeerContact::sign(&raw.keypair, vec![], full(), now - 30).unwrap();
                }
                send(&mut write, &ack).await;
                let DiscoveryMessage::HandshakeAck { peer_contact, .. } = receive(&mut read).await
                else {
                    panic!("expected an acknowledgement")
                };
                // Never from the future by the peer's clock, or it would not count us.
                assert!(peer_contact.inner.timestamp <= now);
                (raw, write, read)
            })
        })
        .await;
        peer.unwrap();
        let offset = pico.clock_offset();
        let hour = if ahead { 3_600_000 } else { -3_600_000 };
        assert!((offset - hour).abs() < 5_000, "{offset}");
        pico.close().await;
        drop(ours);
    }
}

#[tokio::test]
async fn answers_no_ping() {
    let pico = pico();
    let mut notices = pico.subscribe();
    let listener = RawListener::bind().await;
    let address = listener.address.clone();
    let (_, reason) = soon("the outcome", async {
        let left = async {
            loop {
                match notice(&mut notices).await {
                    NetworkNotice::PeerLeft { cause, .. } => return cause,
                    NetworkNotice::DialFailed {
                        error: DialError::Lost(cause),
                        ..
                    } => return cause,
                    NetworkNotice::PeerJoined { .. } => {}
                    notice => panic!("{notice:?}"),
                }
            }
        };
        let (_, left, ()) = tokio::join!(pico.dial(address), left, async {
            let mut raw = listener.accept(&[DISCOVERY, NO_PING]).await;
            // It may be found out before it is done.
            let mut streams = None;
            tokio::select! {
                done = raw.discovery_streams() => streams = Some(done),
                () = tokio::time::sleep(limits::HANDSHAKE_STEP_TIMEOUT) => {}
            }
            raw.closed().await;
            drop(streams);
        });
        ((), left)
    })
    .await;
    assert!(matches!(reason, LeaveReason::Ping(_)), "{reason:?}");
    pico.close().await;
}

#[tokio::test]
async fn we_send_contacts_no_more_often_than_agreed() {
    let (pico, our_address) = listening_pico(full()).await;
    let mut raw = Raw::dial(&our_address, &[DISCOVERY]).await;
    let (mut write, mut read) = raw.discovery_streams().await;
    send(&mut write, &handshake(genesis())).await;
    let nonce = receive_handshake(&mut read).await;
    let mut ack = raw.ack(&nonce, vec![]);
    if let DiscoveryMessage::HandshakeAck {
        update_interval, ..
    } = &mut ack
    {
        // Less than a node itself would bear.
        *update_interval = Some(1);
    }
    send(&mut write, &ack).await;
    receive(&mut read).await;
    for _ in 0..2 {
        // The interval runs by Tokio's clock, which can be set forward; pongs show that we are past it.
        tokio::time::pause();
        tokio::time::advance(limits::MIN_UPDATE_INTERVAL).await;
        tokio::time::resume();
        let other = Raw::dial(&our_address, &[DISCOVERY]).await;
        drop(other);
        let mut byte = [0];
        assert!(
            read.read(&mut byte).now_or_never().is_none(),
            "an update too early"
        );
        tokio::time::pause();
        tokio::time::advance(limits::MIN_SEND_INTERVAL - limits::MIN_UPDATE_INTERVAL).await;
        tokio::time::resume();
        let DiscoveryMessage::PeerAddresses { peer_contacts } = receive(&mut read).await else {
            panic!("expected an update");
        };
        // Nobody else is known, so it is about ourselves.
        assert_eq!(peer_contacts.len(), 1);
        assert_eq!(peer_contacts[0].verify(), Some(pico.get_local_peer_id()));
    }
    pico.close().await;
}

#[tokio::test]
async fn a_corrected_clock_is_noticed_with_the_next_update() {
    let pico = pico();
    let listener = RawListener::bind().await;
    let address = listener.address.clone();
    let (peer, _kept) = soon("an update", async {
        tokio::join!(pico.dial(address), async {
            let mut raw = listener.accept(&[DISCOVERY]).await;
            let (mut write, read) = raw.handshake().await;
            assert_eq!(pico.clock_offset(), 0);
            let late = SignedPeerContact::sign(&raw.keypair, vec![], full(), now_secs() - 7200);
            let peer_contacts = late.into_iter().collect();
            send(
                &mut write,
                &DiscoveryMessage::PeerAddresses { peer_contacts },
            )
            .await;
            while pico.clock_offset() == 0 {
                tokio::task::yield_now().await;
            }
            (raw, write, read)
        })
    })
    .await;
    peer.unwrap();
    assert!(
        (pico.clock_offset() + 7_170_000).abs() < 5_000,
        "{}",
        pico.clock_offset()
    );
    pico.close().await;
}
