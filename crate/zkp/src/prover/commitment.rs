//! The commitment to the wrapper circuit's verifying key.
//!
//! The step circuit verifies wrapper proofs, but its own key is a constant of the wrapper circuit, so that
//! the wrapper's key can't be a constant of the step. It is a witness there, opened by this commitment,
//! which all proofs of a chain have as the same public input, and which the client knows.

use ark_crypto_primitives::sponge::{
    CryptographicSponge,
    poseidon::{PoseidonConfig, PoseidonSponge, find_poseidon_ark_and_mds},
};
use ark_ec::{AffineRepr, pairing::Pairing};
use ark_ff::{BigInteger, Field, PrimeField};
use ark_groth16::VerifyingKey;
use ark_mnt6_753::{Fq, MNT6_753};

/// Bits of the digest that are the commitment. Finding another key that opens it takes 2^248 tries.
pub(super) const COMMITMENT_BITS: usize = 248;

/// Poseidon over the field of the step circuit. 11 is the smallest exponent that is a permutation of it;
/// 8 full and 60 partial rounds are those that its authors give for x^5 and 128 bits of security in a field
/// of 256 bits. Larger fields and exponents need fewer.
pub(super) fn sponge_config() -> PoseidonConfig<Fq> {
    const RATE: usize = 4;
    const FULL_ROUNDS: usize = 8;
    const PARTIAL_ROUNDS: usize = 60;
    const EXPONENT: u64 = 11;
    let bits = u64::from(Fq::MODULUS_BIT_SIZE);
    let (constants, matrix) =
        find_poseidon_ark_and_mds::<Fq>(bits, RATE, FULL_ROUNDS as u64, PARTIAL_ROUNDS as u64, 0);
    PoseidonConfig::new(
        FULL_ROUNDS,
        PARTIAL_ROUNDS,
        EXPONENT,
        matrix,
        constants,
        RATE,
        1,
    )
}

/// The commitment to a wrapper's verifying key: the low 248 bits of the digest, little-endian.
pub(super) fn commit(key: &VerifyingKey<MNT6_753>) -> [u8; COMMITMENT_BITS / 8] {
    let alpha_beta = MNT6_753::pairing(key.alpha_g1, key.beta_g2).0;
    let mut elements: Vec<Fq> = alpha_beta.to_base_prime_field_elements().collect();
    // γ is the generator in all keys that a setup makes.
    elements.extend(key.delta_g2.x.to_base_prime_field_elements());
    elements.extend(key.delta_g2.y.to_base_prime_field_elements());
    for point in &key.gamma_abc_g1 {
        let (x, y) = point.xy().unwrap_or_default();
        elements.extend([x, y]);
    }
    let mut sponge = PoseidonSponge::new(&sponge_config());
    sponge.absorb(&elements);
    let digest: Vec<Fq> = sponge.squeeze_field_elements(1);
    let bytes = digest[0].into_bigint().to_bytes_le();
    std::array::from_fn(|i| bytes[i])
}
