//! What is true is accepted, and bytes come back as they were.

use pico_zkp::simulator::Trapdoor;
use pico_zkp::{KeyError, Statement, VerifyingKey};

use crate::support::{Case, Random};

#[test]
fn proofs_of_any_statement_are_accepted() {
    let mut random = Random::new();
    for case in [Case::chain(), Case::v1()] {
        let mut hash = || random.bytes(32).try_into().unwrap();
        let statements = [
            ([0; 32], [0; 32]),
            ([0xff; 32], [0xff; 32]),
            ([0; 32], hash()),
            (hash(), [0; 32]),
            (hash(), hash()),
            (hash(), hash()),
        ];
        for (anchor, head) in statements {
            let statement = Statement { anchor, head };
            let proof = case.trapdoor.prove(&statement);
            assert_eq!(case.prepared.verify(&statement, &proof), Ok(()));
        }
    }
}

#[test]
fn keys_come_back_from_their_bytes() {
    for (case, kind, length, proof) in [(Case::chain(), 2, 2143, 380), (Case::v1(), 1, 3252, 475)] {
        let bytes = case.key.to_bytes();
        assert_eq!(bytes.len(), length);
        assert_eq!(&bytes[..10], [b"pico-zkp".as_slice(), &[kind, 5]].concat());
        assert_eq!(VerifyingKey::from_bytes(&bytes).as_ref(), Ok(&case.key));
        assert_eq!(case.proof.len(), proof);
    }
    assert_eq!(Case::chain().key.network(), 5);
    assert_eq!(Case::chain().key.anchor_number(), 328);
    assert!(matches!(Case::chain().key, VerifyingKey::Chain(_)));
    assert!(matches!(Case::v1().key, VerifyingKey::V1(_)));
}

#[test]
fn frames_of_keys_are_checked() {
    for case in [Case::chain(), Case::v1()] {
        let bytes = case.key.to_bytes();
        let error = |bytes: &[u8]| VerifyingKey::from_bytes(bytes).unwrap_err();
        assert_eq!(error(&[]), KeyError::Unknown);
        assert_eq!(error(&bytes[..13]), KeyError::Unknown);
        assert_eq!(error(&bytes[1..]), KeyError::Unknown);
        assert_eq!(error(&bytes[..14]), KeyError::Length);
        assert_eq!(error(&bytes[..bytes.len() - 1]), KeyError::Length);
        assert_eq!(error(&[bytes.as_slice(), &[0]].concat()), KeyError::Length);
        for kind in [0, 3, 255] {
            let mut bytes = bytes.clone();
            bytes[8] = kind;
            assert_eq!(error(&bytes), KeyError::Unknown);
        }
        // A key of the other kind is not of this length.
        let mut bytes = bytes.clone();
        bytes[8] = 3 - bytes[8];
        assert_eq!(error(&bytes), KeyError::Length);
    }
}

#[test]
fn keys_and_proofs_are_the_same_for_the_same_seed() {
    let case = Case::chain();
    let again = Trapdoor::chain(1, 5, 328);
    assert_eq!(again.verifying_key(), case.key);
    assert_eq!(again.prove(&case.statement), case.proof);
    assert_ne!(
        Trapdoor::chain(2, 5, 328).verifying_key().to_bytes()[14..],
        case.key.to_bytes()[14..]
    );
}
