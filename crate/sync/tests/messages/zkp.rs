//! Messages about proofs of the election chain. The 2.3.0 release has none of them, so their bytes are
//! written out here, as the v1 protocol had them (PROTOCOL 2, 4.1).

use nimiq_network_interface::request::{RequestCommon, RequestKind, RequestSerialize};
use nimiq_serde::{Deserialize, Serialize};
use pico_sync::messages::{MAX_PROOF_SIZE, RequestZKP, ZKProof, ZkpResponse};
use proptest::prelude::*;

use super::{blocks, damaged};

/// The election block that the scripted chain ends with.
fn election() -> nimiq_block::MacroBlock {
    let election = blocks().last().unwrap().0.clone();
    let mut election = election.unwrap_macro();
    assert!(election.is_election());
    election.body = None;
    election
}

fn proof(len: usize) -> ZKProof {
    ZKProof {
        block_number: 328,
        proof: Some(vec![0xab; len]),
    }
}

#[test]
fn a_request_has_the_bytes_of_the_v1_protocol() {
    assert_eq!(RequestZKP::TYPE_ID, 211);
    assert_eq!(RequestZKP::MAX_REQUESTS, 1000);
    const { assert!(<RequestZKP as RequestCommon>::Kind::EXPECT_RESPONSE) };
    // 211 shifted, with the lowest bit set, then the number and the flag.
    for (number, flag, bytes) in [
        (0, false, &[0xa7, 0x03, 0x00, 0x00][..]),
        (328, true, &[0xa7, 0x03, 0xc8, 0x02, 0x01]),
        (
            u32::MAX,
            true,
            &[0xa7, 0x03, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x01],
        ),
    ] {
        let request = RequestZKP {
            block_number: number,
            request_election_block: flag,
        };
        assert_eq!(request.serialize_request(), bytes);
        let read = RequestZKP::deserialize_request(bytes).unwrap();
        assert_eq!(read.block_number, number);
        assert_eq!(read.request_election_block, flag);
        for end in 0..bytes.len() {
            assert!(RequestZKP::deserialize_request(&bytes[..end]).is_err());
        }
    }
}

#[test]
fn a_proof_has_the_bytes_of_the_v1_protocol() {
    // 475 bytes, of which the number has two on the wire: 482 in all.
    let bytes = proof(475).serialize_to_vec();
    assert_eq!(bytes.len(), 482);
    assert_eq!(bytes[..7], [0, 0, 0x01, 0x48, 0x01, 0xdb, 0x03]);
    assert_eq!(bytes[7..], [0xab; 475]);
    // Ours.
    let bytes = proof(380).serialize_to_vec();
    assert_eq!(bytes[..7], [0, 0, 0x01, 0x48, 0x01, 0xfc, 0x02]);
    assert_eq!(bytes.len(), 387);
    // Of the genesis block.
    let genesis = ZKProof {
        block_number: 3_456_000,
        proof: None,
    };
    assert_eq!(genesis.serialize_to_vec(), [0x00, 0x34, 0xbc, 0x00, 0x00]);
    for proof in [proof(0), proof(475), proof(MAX_PROOF_SIZE), genesis] {
        let bytes = proof.serialize_to_vec();
        assert_eq!(ZKProof::deserialize_all(&bytes).unwrap(), proof);
        for end in 0..bytes.len() {
            assert!(ZKProof::deserialize_from_vec(&bytes[..end]).is_err());
        }
    }
}

#[test]
fn a_response_has_the_bytes_of_the_v1_protocol() {
    let outdated = ZkpResponse::Outdated(328);
    assert_eq!(outdated.serialize_to_vec(), [0x01, 0xc8, 0x02]);
    let proof = proof(380);
    let alone = ZkpResponse::Proof(proof.clone(), None);
    let expected = [&[0x00][..], &proof.serialize_to_vec(), &[0x00]].concat();
    assert_eq!(alone.serialize_to_vec(), expected);
    let block = election();
    let whole = ZkpResponse::Proof(proof.clone(), Some(block.clone()));
    let expected = [
        &[0x00][..],
        &proof.serialize_to_vec(),
        &[0x01],
        &block.serialize_to_vec(),
    ];
    let bytes = whole.serialize_to_vec();
    assert_eq!(bytes, expected.concat());
    for response in [outdated, alone, whole] {
        let bytes = response.serialize_to_vec();
        assert_eq!(ZkpResponse::deserialize_all(&bytes).unwrap(), response);
        for end in 0..bytes.len() {
            assert!(ZkpResponse::deserialize_from_vec(&bytes[..end]).is_err());
        }
        // Nodes ignore what follows a message.
        let longer = [&bytes[..], b"more"].concat();
        assert_eq!(
            ZkpResponse::deserialize_from_vec(&longer).unwrap(),
            response
        );
    }
    // There are two kinds.
    assert!(ZkpResponse::deserialize_from_vec(&[2, 0, 0]).is_err());
}

#[test]
fn a_proof_that_is_too_long_is_not_read() {
    for len in [MAX_PROOF_SIZE + 1, 20_000] {
        let bytes = ZkpResponse::Proof(proof(len), None).serialize_to_vec();
        assert!(ZkpResponse::deserialize_from_vec(&bytes).is_err());
    }
    // One that only says that it is.
    let bytes = [0, 0, 0, 1, 0x48, 1, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(ZkpResponse::deserialize_from_vec(&bytes).is_err());
}

proptest! {
    #[test]
    fn damaged_responses_are_read_back_as_they_are_or_refused(
        len in 0_usize..1100,
        with_block: bool,
        changes: Vec<(prop::sample::Index, u8)>,
        cut: prop::sample::Index,
    ) {
        let block = with_block.then(election);
        let bytes = ZkpResponse::Proof(proof(len), block).serialize_to_vec();
        let bytes = damaged(&bytes, &changes, cut);
        if let Ok(response) = ZkpResponse::deserialize_from_vec(&bytes) {
            if let ZkpResponse::Proof(ZKProof { proof: Some(proof), .. }, _) = &response {
                prop_assert!(proof.len() <= MAX_PROOF_SIZE);
            }
            let again = response.serialize_to_vec();
            prop_assert_eq!(ZkpResponse::deserialize_all(&again).unwrap(), response);
        }
    }
}
