//! Proofs, statements and keys that something was done to. None is accepted, none panics.
//!
//! Whoever has a proof can make other valid proofs of the same statement from it. Nothing is gained by that, and nothing
//! here does it.

use ark_ec::AffineRepr;
use ark_ec::pairing::Pairing;
use ark_mnt4_753::MNT4_753;
use ark_mnt6_753::MNT6_753;
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use pico_zkp::simulator::Trapdoor;
use pico_zkp::{ProofError, Statement, VerifyingKey};
use proptest::prelude::*;

use crate::support::{Case, Random, cases};

#[test]
fn mutated_chain_proofs_are_refused() {
    mutated_proofs_are_refused::<MNT4_753>(Case::chain(), cases(700));
}

#[test]
fn mutated_v1_proofs_are_refused() {
    mutated_proofs_are_refused::<MNT6_753>(Case::v1(), cases(150));
}

fn mutated_proofs_are_refused<E: Pairing>(case: &Case, cases: usize) {
    let mut random = Random::new();
    let mut errors = std::collections::BTreeMap::new();
    for index in 0..cases {
        let mut proof = case.proof.clone();
        let what = mutate::<E>(case, &mut proof, &mut random);
        if proof == case.proof {
            continue;
        }
        match case.prepared.verify(&case.statement, &proof) {
            Ok(()) => panic!("case {index} ({what}) was accepted"),
            Err(error) => *errors.entry((what, error.to_string())).or_insert(0) += 1,
        }
    }
    println!("{errors:#?}");
}

fn mutate<E: Pairing>(case: &Case, proof: &mut Vec<u8>, random: &mut Random) -> &'static str {
    let [a, b, c] = case.parts();
    match random.below(12) {
        0..3 => {
            random.flip(proof);
            "a bit flipped"
        }
        3 => {
            for _ in 0..1 + random.below(40) {
                random.flip(proof);
            }
            "bits flipped"
        }
        4 => {
            let length = random.below(3 * proof.len() / 2);
            proof.resize(length, 0);
            "truncated or extended"
        }
        5 => {
            let sign = [a.end - 1, b.end - 1, c.end - 1][random.below(3)];
            proof[sign] ^= 0x80;
            "another sign"
        }
        6 => {
            let (from, to) = [(a.clone(), c.start), (c, a.start)][random.below(2)].clone();
            proof.copy_within(from, to);
            "one point twice"
        }
        7 => {
            let (left, right) = proof.split_at_mut(c.start);
            left[a].swap_with_slice(right);
            "points swapped"
        }
        8 => {
            let at = random.below(proof.len());
            let length = random.below(proof.len() - at) + 1;
            let noise = random.bytes(length);
            proof[at..at + length].copy_from_slice(&noise);
            "noise"
        }
        9 => {
            let scalar = E::ScalarField::from(random.number());
            let range = [a, c][random.below(2)].clone();
            let point = E::G1Affine::deserialize_compressed(&proof[range.clone()]).unwrap();
            (point * scalar)
                .serialize_compressed(&mut proof[range])
                .unwrap();
            "a multiple of a point of the first group"
        }
        10 => {
            let scalar = E::ScalarField::from(random.number());
            let point = E::G2Affine::deserialize_compressed(&proof[b.clone()]).unwrap();
            (point * scalar)
                .serialize_compressed(&mut proof[b])
                .unwrap();
            "a multiple of the point of the second group"
        }
        _ => {
            let scalar = E::ScalarField::from(random.number());
            let point = E::G1Affine::generator() * scalar;
            point
                .serialize_compressed(&mut proof[[a, c][random.below(2)].clone()])
                .unwrap();
            "another point of the first group"
        }
    }
}

#[test]
fn other_statements_are_refused() {
    let mut random = Random::new();
    for (case, cases) in [(Case::chain(), cases(50)), (Case::v1(), cases(15))] {
        let Statement { anchor, head } = case.statement;
        let swapped = Statement {
            anchor: head,
            head: anchor,
        };
        assert_eq!(
            case.prepared.verify(&swapped, &case.proof),
            Err(ProofError::Invalid)
        );
        for _ in 0..cases {
            let mut statement = case.statement;
            match random.below(3) {
                0 => random.flip(&mut statement.anchor),
                1 => random.flip(&mut statement.head),
                _ => statement.head = random.bytes(32).try_into().unwrap(),
            }
            assert_eq!(
                case.prepared.verify(&statement, &case.proof),
                Err(ProofError::Invalid)
            );
            let proof = case.trapdoor.prove(&statement);
            assert_eq!(
                case.prepared.verify(&case.statement, &proof),
                Err(ProofError::Invalid)
            );
        }
    }
}

#[test]
fn proofs_under_other_keys_are_refused() {
    let (chain, v1) = (Case::chain(), Case::v1());
    let other = Trapdoor::chain(2, 5, 328).prove(&chain.statement);
    assert_eq!(
        chain.prepared.verify(&chain.statement, &other),
        Err(ProofError::Invalid)
    );
    let other = Trapdoor::v1(2, 5, 0).prove(&v1.statement);
    assert_eq!(
        v1.prepared.verify(&v1.statement, &other),
        Err(ProofError::Invalid)
    );
    // Of the other kind.
    assert_eq!(
        chain.prepared.verify(&v1.statement, &v1.proof),
        Err(ProofError::Length)
    );
    assert_eq!(
        v1.prepared.verify(&chain.statement, &chain.proof),
        Err(ProofError::Length)
    );
}

#[test]
fn mutated_keys_accept_nothing() {
    let mut random = Random::new();
    for (case, cases) in [(Case::chain(), cases(60)), (Case::v1(), cases(20))] {
        let bytes = case.key.to_bytes();
        for index in 0..cases {
            let mut mutated = bytes.clone();
            // Network and anchor are what the client goes by, not the verifier.
            let at = [0, 14][random.below(20).min(1)];
            let end = if at == 0 { 9 } else { mutated.len() };
            random.flip(&mut mutated[at..end]);
            if let Ok(Ok(key)) = VerifyingKey::from_bytes(&mutated).map(|key| key.prepare()) {
                assert!(
                    key.verify(&case.statement, &case.proof).is_err(),
                    "case {index} was accepted"
                );
            }
        }
    }
}

#[test]
fn keys_with_other_constants_accept_nothing() {
    let mut random = Random::new();
    for (case, commitment) in [(Case::chain(), 31), (Case::v1(), 190)] {
        for _ in 0..4 {
            let mut bytes = case.key.to_bytes();
            let start = bytes.len() - commitment;
            random.flip(&mut bytes[start..]);
            let key = VerifyingKey::from_bytes(&bytes).unwrap().prepare().unwrap();
            assert_eq!(
                key.verify(&case.statement, &case.proof),
                Err(ProofError::Invalid)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_no_key(bytes in proptest::collection::vec(any::<u8>(), 0..4_000), kind in 0u8..4) {
        prop_assert!(VerifyingKey::from_bytes(&bytes).is_err());
        // With a frame around the noise it is a key, which can't be prepared.
        let length = if kind == 1 { 3238 } else { 2129 };
        let mut body = bytes;
        body.resize(length, 0x17);
        let framed = [b"pico-zkp".as_slice(), &[kind, 5, 0, 0, 0, 1], &body].concat();
        if let Ok(key) = VerifyingKey::from_bytes(&framed) {
            prop_assert!(key.prepare().is_err());
        }
    }

    #[test]
    fn noise_is_no_proof(bytes in proptest::collection::vec(any::<u8>(), 380), length in 0usize..600) {
        let case = Case::chain();
        prop_assert!(case.prepared.verify(&case.statement, &bytes).is_err());
        let mut bytes = bytes;
        bytes.resize(length, 0);
        prop_assert!(case.prepared.verify(&case.statement, &bytes).is_err());
    }
}
