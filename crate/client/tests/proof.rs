//! Jobs of checks: what is encoded is what is checked, and nothing else holds.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pico_sync::ProofJob;
use pico_sync_client::{
    error::ErrorCode,
    proof::{Checks, MAX_PROOF_SIZE, encode_proof},
};
use pico_zkp::{Statement, simulator::Trapdoor};
use proptest::prelude::*;

/// Of `unit-albatross`.
const NETWORK: u8 = 7;
const ANCHOR_NUMBER: u32 = 328;

fn job(anchor: u8, head: u8, proof: &[u8]) -> ProofJob {
    ProofJob {
        anchor: [anchor; 32].into(),
        head: [head; 32].into(),
        proof: proof.to_vec(),
        block_number: 456,
    }
}

#[test]
fn a_proof_is_checked_against_its_statement_and_key() {
    for trapdoor in [
        Trapdoor::chain(1, NETWORK, ANCHOR_NUMBER),
        Trapdoor::v1(1, NETWORK, ANCHOR_NUMBER),
    ] {
        let proof = trapdoor.prove(&Statement {
            anchor: [1; 32],
            head: [2; 32],
        });
        let checks = Checks::new(Some(trapdoor.verifying_key()));
        let run = |job: &ProofJob| checks.run(&encode_proof(job).unwrap()).unwrap();
        // The second time with the key as it was prepared for the first.
        assert!(run(&job(1, 2, &proof)) && run(&job(1, 2, &proof)));
        assert!(!run(&job(2, 1, &proof)));
        assert!(!run(&job(1, 3, &proof)));
        assert!(!run(&job(1, 2, &proof[1..])));
        assert!(!run(&job(1, 2, &[])));
        let other = Checks::new(Some(Trapdoor::chain(2, NETWORK, 328).verifying_key()));
        let bytes = encode_proof(&job(1, 2, &proof)).unwrap();
        assert!(!other.run(&bytes).unwrap());
    }
}

#[test]
fn a_proof_that_is_too_long_to_be_one_is_no_job() {
    assert!(encode_proof(&job(1, 2, &[0; MAX_PROOF_SIZE])).is_some());
    assert!(encode_proof(&job(1, 2, &[0; MAX_PROOF_SIZE + 1])).is_none());
}

#[test]
fn without_a_key_there_is_no_verdict() {
    let bytes = encode_proof(&job(1, 2, &[0; 380])).unwrap();
    let error = Checks::default().run(&bytes).unwrap_err();
    assert_eq!(error.code, ErrorCode::Worker);
    assert!(error.message.contains("verifying key"), "{error}");
}

#[test]
fn what_is_no_job_is_refused() {
    let key = Trapdoor::chain(1, NETWORK, ANCHOR_NUMBER).verifying_key();
    let checks = Checks::new(Some(key));
    for bytes in [&[][..], &[2], &[1], &[1; 64], &[0], &[0; 64], &[0xff; 100]] {
        assert_eq!(checks.run(bytes).unwrap_err().code, ErrorCode::Worker);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), kind in 0_u8..3) {
        let checks = Checks::default();
        let _ = checks.run(&bytes);
        let _ = checks.run(&[&[kind], bytes.as_slice()].concat());
    }
}
