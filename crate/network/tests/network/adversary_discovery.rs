//! Peers that misbehave in the discovery protocol: each is dropped for its own reason, banned if it
//! is malice, and nobody else is affected.

use crate::common::{raw::*, *};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{core::muxing::SubstreamBox, identity::Keypair};
use nimiq_network_interface::network::Network as _;
use nimiq_utils::tagged_signing::{TaggedKeyPair, TaggedSignature};
use pico_network::{
    DialError, DiscoveryError, DiscoveryState, LeaveReason,
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
