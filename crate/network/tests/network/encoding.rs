//! Our encodings against those of `nimiq-network-libp2p`, byte for byte, and our decoders against
//! anything at all.

use std::task::{Context, Poll, Waker};

use futures::{FutureExt, SinkExt, io::Cursor};
use libp2p::{Multiaddr, StreamProtocol, identity::Keypair, request_response::Codec as _};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::peer_info::Services;
use nimiq_network_libp2p::{
    discovery::{
        message_codec::MessageWriter,
        peer_contacts::{PeerContact as NodeContact, SignedPeerContact as NodeSignedContact},
        protocol::{ChallengeNonce as NodeNonce, DiscoveryMessage as NodeMessage},
    },
    dispatch::codecs::MessageCodec as NodeCodec,
};
use nimiq_serde::{Deserialize, Serialize};
use nimiq_utils::tagged_signing::{TaggedKeyPair, TaggedSignature};
use pico_network::{
    discovery::{
        codec::{self, FrameError, FrameReader},
        contact::{PeerContact, SignedPeerContact, ValidatorInfo},
        messages::{ChallengeNonce, DiscoveryMessage},
    },
    limits,
    reqres::codec::{Budget, Codec, Frame},
};
use proptest::prelude::*;

fn identity(seed: u8) -> Keypair {
    Keypair::ed25519_from_bytes([seed; 32]).unwrap()
}

fn address(port: u16) -> Multiaddr {
    match port % 3 {
        0 => format!("/ip4/1.2.3.4/tcp/{port}/ws"),
        1 => format!("/dns4/seed{port}.example.com/tcp/443/wss"),
        _ => format!("/ip6/2a00::{port:x}/tcp/{port}/ws"),
    }
    .parse()
    .unwrap()
}

/// The same contact, made by our code and by the node's.
fn contacts(
    seed: u8,
    ports: &[u16],
    services: u32,
    timestamp: u64,
) -> (SignedPeerContact, NodeSignedContact) {
    let (key, services) = (identity(seed), Services::from_bits_retain(services));
    let addresses: Vec<_> = ports.iter().map(|port| address(*port)).collect();
    let ours = SignedPeerContact::sign(&key, addresses.clone(), services, timestamp).unwrap();
    let theirs = NodeContact::new(addresses, key.public(), services, timestamp)
        .unwrap()
        .sign(&key);
    (ours, theirs)
}

/// The same messages, made by our code and by the node's: one of each kind.
fn messages() -> Vec<(DiscoveryMessage, NodeMessage)> {
    let nonce = [9; 32];
    let genesis = Blake2bHash::from([3; 32]);
    let services = Services::ACCOUNTS_PROOF | Services::HISTORY;
    let (ours, theirs) = contacts(1, &[8443, 9001, 1], 27, 1_700_000_000);
    let (our_others, their_others): (Vec<_>, Vec<_>) = (2..9)
        .map(|seed| contacts(seed, &[u16::from(seed)], 300, 127 + u64::from(seed)))
        .unzip();
    vec![
        (
            DiscoveryMessage::Handshake {
                observed_address: address(5),
                challenge_nonce: ChallengeNonce(nonce),
                genesis_hash: genesis.clone(),
                limit: 64,
                services,
            },
            NodeMessage::Handshake {
                observed_address: address(5),
                challenge_nonce: NodeNonce::from(nonce),
                genesis_hash: genesis,
                limit: 64,
                services,
            },
        ),
        (
            DiscoveryMessage::HandshakeAck {
                peer_contact: ours.clone(),
                response_signature: identity(1).tagged_sign(&ChallengeNonce(nonce)),
                update_interval: Some(60),
                peer_contacts: our_others.clone(),
            },
            NodeMessage::HandshakeAck {
                peer_contact: theirs.clone(),
                response_signature: identity(1).tagged_sign(&NodeNonce::from(nonce)),
                update_interval: Some(60),
                peer_contacts: their_others.clone(),
            },
        ),
        (
            DiscoveryMessage::HandshakeAck {
                peer_contact: ours,
                response_signature: TaggedSignature::from_bytes(vec![]),
                update_interval: None,
                peer_contacts: vec![],
            },
            NodeMessage::HandshakeAck {
                peer_contact: theirs,
                response_signature: TaggedSignature::from_bytes(vec![]),
                update_interval: None,
                peer_contacts: vec![],
            },
        ),
        (
            DiscoveryMessage::PeerAddresses {
                peer_contacts: our_others,
            },
            NodeMessage::PeerAddresses {
                peer_contacts: their_others,
            },
        ),
    ]
}

#[test]
fn discovery_messages_and_their_framing() {
    for (ours, theirs) in messages() {
        let bytes = ours.serialize_to_vec();
        assert_eq!(bytes, theirs.serialize_to_vec());
        assert_eq!(
            DiscoveryMessage::deserialize_from_vec(&bytes).unwrap(),
            ours
        );
        let mut writer = MessageWriter::<_, NodeMessage>::new(Vec::new());
        writer.send(&theirs).now_or_never().unwrap().unwrap();
        assert_eq!(codec::encode(&ours), writer.into_inner());
    }
}

#[test]
fn signatures_hold_on_both_sides() {
    let (ours, theirs) = contacts(1, &[8443], 27, 1_700_000_000);
    assert_eq!(ours.verify(), Some(theirs.peer_id()));
    assert!(
        NodeSignedContact::deserialize_from_vec(&ours.serialize_to_vec())
            .unwrap()
            .verify()
    );
    let mut forged = ours;
    forged.inner.timestamp += 1;
    assert_eq!(forged.verify(), None);
    assert!(
        !NodeSignedContact::deserialize_from_vec(&forged.serialize_to_vec())
            .unwrap()
            .verify()
    );
}

#[test]
fn contacts_of_validators() {
    let (ours, _) = contacts(1, &[8443], 155, 1_700_000_000);
    let inner = PeerContact {
        validator_info: Some(ValidatorInfo {
            validator_address: nimiq_keys::Address::from([5; 20]),
            signature: vec![6; 64],
        }),
        ..ours.inner
    };
    let signature = identity(1).tagged_sign(&inner);
    let bytes = SignedPeerContact { inner, signature }.serialize_to_vec();
    let theirs = NodeSignedContact::deserialize_from_vec(&bytes).unwrap();
    assert!(theirs.verify());
    assert_eq!(theirs.serialize_to_vec(), bytes);
    assert!(
        SignedPeerContact::deserialize_from_vec(&bytes)
            .unwrap()
            .verify()
            .is_some()
    );
}

#[test]
fn lists_are_refused_by_their_length() {
    let contact = contacts(1, &[], 0, 0).0;
    let update = |n| DiscoveryMessage::PeerAddresses {
        peer_contacts: vec![contact.clone(); n],
    };
    let decode = |n| DiscoveryMessage::deserialize_from_vec(&update(n).serialize_to_vec());
    assert!(decode(limits::MAX_CONTACTS_PER_UPDATE).is_ok());
    assert!(decode(limits::MAX_CONTACTS_PER_UPDATE + 1).is_err());
    // The claim alone is enough: nothing of that length follows.
    assert!(DiscoveryMessage::deserialize_from_vec(&[2, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
}

#[test]
fn request_frames() {
    let protocol = StreamProtocol::new(limits::REQUEST_PROTOCOL);
    let mut codec = Codec::new(Budget::new(limits::MAX_RESPONSE_MEMORY));
    for payload in [vec![], vec![0xa5, 3], vec![1; 20 * 1024]] {
        let (mut ours, mut theirs) = (Cursor::new(Vec::new()), Cursor::new(Vec::new()));
        let frame = Frame::from(payload.clone());
        codec
            .write_request(&protocol, &mut ours, frame)
            .now_or_never()
            .unwrap()
            .unwrap();
        NodeCodec
            .write_request(&protocol, &mut theirs, Some(payload.clone()))
            .now_or_never()
            .unwrap()
            .unwrap();
        assert_eq!(ours.get_ref(), theirs.get_ref());
        ours.set_position(0);
        let read = NodeCodec
            .read_request(&protocol, &mut ours)
            .now_or_never()
            .unwrap()
            .unwrap();
        assert_eq!(read, Some(payload.clone()));
        theirs.set_position(0);
        let read = codec
            .read_response(&protocol, &mut theirs)
            .now_or_never()
            .unwrap()
            .unwrap();
        assert!(matches!(read, Frame::Whole(read) if read.bytes() == payload));
    }
}

/// Reads all frames that `bytes` hold, in pieces of `step` bytes.
fn read_frames(bytes: &[u8], max: usize) -> Result<Vec<Vec<u8>>, FrameError> {
    let mut reader = FrameReader::new(Cursor::new(bytes));
    let mut cx = Context::from_waker(Waker::noop());
    let mut frames = Vec::new();
    loop {
        match reader.poll_frame(&mut cx, max) {
            Poll::Ready(Ok(Some(frame))) => frames.push(frame),
            Poll::Ready(Ok(None)) => return Ok(frames),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => panic!("a cursor is always ready"),
        }
    }
}

#[test]
fn discovery_frames_that_are_none() {
    let frame = codec::encode(&messages()[0].0);
    assert_eq!(read_frames(&frame.repeat(3), 1000).unwrap().len(), 3);
    for end in 1..frame.len() {
        assert!(matches!(
            read_frames(&frame[..end], 1000),
            Err(FrameError::Truncated)
        ));
    }
    let size = frame.len() - 12;
    assert!(read_frames(&frame, size).is_ok());
    assert!(matches!(read_frames(&frame, size - 1), Err(FrameError::Oversized(n)) if n == size));
    let mut wrong = frame;
    wrong[0] ^= 1;
    assert!(matches!(
        read_frames(&wrong, 1000),
        Err(FrameError::BadMagic)
    ));
}

proptest! {
    #[test]
    fn any_contact_is_encoded_alike(
        seed in any::<u8>(),
        ports in prop::collection::vec(1u16.., 0..15),
        services in any::<u32>(),
        timestamp in any::<u64>(),
    ) {
        let (ours, theirs) = contacts(seed, &ports, services, timestamp);
        let bytes = ours.serialize_to_vec();
        prop_assert_eq!(&bytes, &theirs.serialize_to_vec());
        let back = SignedPeerContact::deserialize_from_vec(&bytes).unwrap();
        prop_assert!(back.verify().is_some());
        prop_assert_eq!(back, ours);
    }

    #[test]
    fn no_bytes_make_the_decoders_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(DiscoveryMessage::deserialize_from_vec(&bytes));
        drop(read_frames(&bytes, 1000));
        let mut framed = codec::MAGIC.to_be_bytes().to_vec();
        framed.extend((bytes.len() as u32).to_be_bytes());
        framed.extend([0; 4]);
        framed.extend(&bytes);
        prop_assert_eq!(read_frames(&framed, 1000).unwrap(), [bytes]);
    }

    #[test]
    fn mutated_messages_are_understood_alike(
        which in 0usize..4,
        position in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut bytes = messages()[which].0.serialize_to_vec();
        let position = position.index(bytes.len());
        bytes[position] = value;
        let ours = DiscoveryMessage::deserialize_from_vec(&bytes);
        let theirs = NodeMessage::deserialize_from_vec(&bytes);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                prop_assert_eq!(ours.serialize_to_vec(), theirs.serialize_to_vec());
            }
            // We look at a key when its signature is checked, they when it is decoded.
            (Ok(DiscoveryMessage::Handshake { .. }), Err(_)) => prop_assert!(false),
            (Ok(_), Err(_)) => {}
            // We count lists as they are decoded, they afterwards; and no list can grow by so much
            // without running out of bytes.
            (Err(error), Ok(_)) => prop_assert!(false, "{}", error),
            (Err(_), Err(_)) => {}
        }
    }
}
