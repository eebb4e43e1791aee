//! The verifying key that is committed: `pico-node setup` makes it.

use crate::{
    VerifyingKey,
    prover::{DEVELOPMENT_SEED, UNIT_ALBATROSS, derive_verifying_key},
};

#[test]
fn the_committed_key_is_still_that_of_the_circuits() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/keys/unit-albatross.vk");
    let committed = std::fs::read(path).unwrap();
    let derived = derive_verifying_key(&UNIT_ALBATROSS, DEVELOPMENT_SEED).unwrap();
    assert_eq!(
        VerifyingKey::Chain(derived).to_bytes(),
        committed,
        "the circuits have changed: make the keys and the fixture's proofs again (docs/zkp.md)"
    );
}
