//! Peers that misbehave in the discovery protocol: each is dropped for its own reason, banned if it
//! is malice, and nobody else is affected.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{raw::*, *};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{core::muxing::SubstreamBox, identity::Keypair};
use nimiq_network_interface::{network::Network as _, peer_info::Services};
use nimiq_utils::tagged_signing::{TaggedKeyPair, TaggedSignature};
use pico_network::{
    DialError, DiscoveryError, DiscoveryState, LeaveReason, Network, NetworkNotice,
    discovery::{
        codec,
        messages::{ChallengeNonce, DiscoveryMessage},
    },
    limits,
};

/// Dials a raw peer that behaves as `behave` says, beside an honest node, and returns why the dial
/// failed.
async fn outcome<F>(protocols: &'static [&'static str], behave: F) -> DiscoveryError
where
    F: AsyncFnOnce(Raw),
{
    let (node, node_address) = node().await;
    let pico = pico();
    connect(&pico, &node, &node_address).await;

    let listener = RawListener::bind().await;
    let address = with_peer(&listener.address, listener.peer_id());
    let (result, ()) = soon("the outcome", async {
        tokio::join!(pico.dial(address.clone()), async {
            behave(listener.accept(protocols).await).await;
        })
    })
    .await;
    let Err(DialError::Lost(LeaveReason::Discovery(error))) = result else {
        panic!("expected a discovery error, got {result:?}");
    };
    assert_eq!(pico.get_peers(), [node.get_local_peer_id()]);
    assert_well(&pico, &node).await;
    // Who is malicious is banned at once; all others may try again.
    let again = pico.dial(address).await;
    assert_eq!(
        again == Err(DialError::Banned),
        error.is_malicious(),
        "{error}: {again:?}"
    );
    pico.close().await;
    error
}

/// As [`outcome`], with both streams open.
async fn outcome_on_streams<F>(behave: F) -> DiscoveryError
where
    F: AsyncFnOnce(&Raw, &mut SubstreamBox, &mut SubstreamBox),
{
    outcome(&[DISCOVERY], async |mut raw| {
        let (mut write, mut read) = raw.discovery_streams().await;
        behave(&raw, &mut write, &mut read).await;
        raw.closed().await;
    })
    .await
}

async fn write(stream: &mut SubstreamBox, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}

#[tokio::test]
async fn speaks_no_discovery() {
    let error = outcome(&[], async |mut raw: Raw| raw.closed().await).await;
    assert_eq!(error, DiscoveryError::Unsupported);
}

#[tokio::test]
async fn opens_no_stream() {
    let error = outcome(&[DISCOVERY], async |mut raw: Raw| raw.closed().await).await;
    assert_eq!(error, DiscoveryError::Timeout(DiscoveryState::Opening));
}

#[tokio::test]
async fn says_nothing() {
    let error = outcome(&[DISCOVERY], async |mut raw: Raw| {
        let _streams = raw.discovery_streams().await;
        raw.closed().await;
    })
    .await;
    assert_eq!(error, DiscoveryError::Timeout(DiscoveryState::Handshake));
}

#[tokio::test]
async fn stops_after_the_handshake() {
    let error = outcome(&[DISCOVERY], async |mut raw: Raw| {
        let (mut write, _read) = raw.discovery_streams().await;
        send(&mut write, &handshake(genesis())).await;
        raw.closed().await;
    })
    .await;
    assert_eq!(
        error,
        DiscoveryError::Timeout(DiscoveryState::Acknowledgement)
    );
}

#[tokio::test]
async fn sends_garbage() {
    let error = outcome_on_streams(async |_, stream, _| {
        write(stream, &[0xff; 100]).await;
    })
    .await;
    assert_eq!(error, DiscoveryError::Malformed(DiscoveryState::Handshake));
    // A proper header makes it no better.
    let error = outcome_on_streams(async |_, stream, _| {
        let mut bytes = codec::MAGIC.to_be_bytes().to_vec();
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 9, 9, 9, 9]);
        write(stream, &bytes).await;
    })
    .await;
    assert_eq!(error, DiscoveryError::Malformed(DiscoveryState::Handshake));
}

#[tokio::test]
async fn ends_in_the_middle() {
    let error = outcome_on_streams(async |_, stream, _| {
        let bytes = codec::encode(&handshake(genesis()));
        write(stream, &bytes[..bytes.len() - 1]).await;
        stream.close().await.unwrap();
    })
    .await;
    assert_eq!(error, DiscoveryError::Malformed(DiscoveryState::Handshake));
    let error = outcome_on_streams(async |_, stream, _| {
        stream.close().await.unwrap();
    })
    .await;
    assert_eq!(error, DiscoveryError::StreamEnded);
}

#[tokio::test]
async fn announces_too_much() {
    for (size, max) in [(u32::MAX, limits::MAX_HANDSHAKE_FRAME), (4097, 4096)] {
        let error = outcome_on_streams(async |_, stream, _| {
            let mut bytes = codec::MAGIC.to_be_bytes().to_vec();
            bytes.extend(size.to_be_bytes());
            bytes.extend([0; 4]);
            write(stream, &bytes).await;
        })
        .await;
        assert_eq!(
            error,
            DiscoveryError::Oversized {
                size: size as usize,
                max
            }
        );
    }
}

#[tokio::test]
async fn is_on_another_network() {
    let other = nimiq_hash::Blake2bHash::from([8; 32]);
    let error = outcome_on_streams(async |_, stream, _| {
        send(stream, &handshake([8; 32].into())).await;
    })
    .await;
    assert_eq!(error, DiscoveryError::WrongGenesis(other.to_hex()));
}

#[tokio::test]
async fn sends_the_wrong_message() {
    let update = DiscoveryMessage::PeerAddresses {
        peer_contacts: vec![],
    };
    let error = outcome_on_streams(async |_, stream, _| {
        send(stream, &update).await;
    })
    .await;
    assert_eq!(error, DiscoveryError::Unexpected(DiscoveryState::Handshake));
    let error = outcome_on_streams(async |_, stream, _| {
        send(stream, &handshake(genesis())).await;
        send(stream, &handshake(genesis())).await;
    })
    .await;
    assert_eq!(
        error,
        DiscoveryError::Unexpected(DiscoveryState::Acknowledgement)
    );
}

#[tokio::test]
async fn opens_two_streams() {
    let error = outcome_on_streams(async |raw, _, _| {
        let mut second = raw.open_unnegotiated().await;
        // Not waiting for the answer, which may come too late.
        write(&mut second, &proposal(DISCOVERY)).await;
        // Read to its end, so that it stays open until the other side hangs up.
        let mut rest = Vec::new();
        drop(second.read_to_end(&mut rest).await);
    })
    .await;
    assert_eq!(error, DiscoveryError::DuplicateStream);
}

/// Acknowledges with what `forge` makes of an honest acknowledgement.
async fn forged_ack<F>(forge: F) -> DiscoveryError
where
    F: FnOnce(&Raw, &ChallengeNonce) -> DiscoveryMessage,
{
    outcome_on_streams(async |raw, stream, read| {
        send(stream, &handshake(genesis())).await;
        let nonce = receive_handshake(read).await;
        let ack = forge(raw, &nonce);
        send(stream, &ack).await;
    })
    .await
}

#[tokio::test]
async fn signs_another_challenge() {
    let error = forged_ack(|raw, _| raw.ack(&ChallengeNonce([1; 32]), vec![])).await;
    assert_eq!(error, DiscoveryError::ChallengeFailed);
}

#[tokio::test]
async fn presents_the_contact_of_another() {
    let error = forged_ack(|raw, nonce| {
        let mut ack = raw.ack(nonce, vec![]);
        let other = Keypair::generate_ed25519();
        if let DiscoveryMessage::HandshakeAck {
            peer_contact,
            response_signature,
            ..
        } = &mut ack
        {
            *peer_contact = contact(&other, vec![], full());
            *response_signature = other.tagged_sign(nonce);
        }
        ack
    })
    .await;
    assert_eq!(error, DiscoveryError::ChallengeFailed);
}

#[tokio::test]
async fn forges_its_own_contact() {
    for signature in [vec![], vec![0; 64], vec![7; 10_000]] {
        let error = forged_ack(|raw, nonce| {
            let mut ack = raw.ack(nonce, vec![]);
            if let DiscoveryMessage::HandshakeAck { peer_contact, .. } = &mut ack {
                peer_contact.signature = TaggedSignature::from_bytes(signature);
            }
            ack
        })
        .await;
        assert_eq!(error, DiscoveryError::ForgedContact);
    }
}

#[tokio::test]
async fn sends_too_many_contacts() {
    let contacts = vec![contact(&Keypair::generate_ed25519(), vec![], full()); 65];
    let error = forged_ack(|raw, nonce| raw.ack(nonce, contacts)).await;
    assert_eq!(
        error,
        DiscoveryError::Malformed(DiscoveryState::Acknowledgement)
    );
}

#[tokio::test]
async fn sends_a_contact_with_too_many_addresses() {
    let mut crowded = contact(&Keypair::generate_ed25519(), vec![], full());
    crowded.inner.addresses = vec![listen_address(); 16];
    let error = forged_ack(|raw, nonce| raw.ack(nonce, vec![crowded])).await;
    assert_eq!(
        error,
        DiscoveryError::Malformed(DiscoveryState::Acknowledgement)
    );
}

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
                    *peer_contact = pico_network::discovery::contact::SignedPeerContact::sign(
                        &raw.keypair,
                        vec![],
                        full(),
                        now - 30,
                    )
                    .unwrap();
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
    use futures::FutureExt;
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
            let late = pico_network::discovery::contact::SignedPeerContact::sign(
                &raw.keypair,
                vec![],
                full(),
                now_secs() - 7200,
            );
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
