//! Encodings that stand for no point of the group.

use ark_ec::pairing::Pairing;
use ark_ec::short_weierstrass::{Affine, SWCurveConfig};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{Field, PrimeField, UniformRand};
use ark_mnt4_753::MNT4_753;
use ark_mnt6_753::MNT6_753;
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use ark_std::rand::SeedableRng;
use ark_std::rand::rngs::StdRng;
use pico_zkp::{KeyError, ProofError, VerifyingKey};

use crate::support::Case;

type G1<E> = <E as Pairing>::G1Affine;

fn encode(value: &impl CanonicalSerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.serialize_compressed(&mut bytes).unwrap();
    bytes
}

fn encode_uncompressed(value: &impl CanonicalSerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.serialize_uncompressed(&mut bytes).unwrap();
    bytes
}

/// A point of the twist that isn't in the group, if the seed has one.
fn outsider<P: SWCurveConfig>(rng: &mut StdRng) -> Affine<P> {
    loop {
        let x = P::BaseField::rand(rng);
        if let Some(point) = Affine::<P>::get_point_from_x_unchecked(x, bool::rand(rng)) {
            assert!(point.is_on_curve());
            if !point.is_in_correct_subgroup_assuming_on_curve() {
                return point;
            }
        }
    }
}

fn outsiders_are_refused<E, P>(case: &Case)
where
    E: Pairing<G2Affine = Affine<P>>,
    P: SWCurveConfig<ScalarField = E::ScalarField>,
{
    let mut rng = StdRng::seed_from_u64(7);
    let [_, b, _] = case.parts();
    let good = Affine::<P>::deserialize_compressed(&case.proof[b.clone()]).unwrap();
    for _ in 0..8 {
        let outsider = outsider::<P>(&mut rng);
        // One of an order that the group's doesn't share a factor with, and the right point plus that.
        let torsion = outsider.mul_bigint(E::ScalarField::MODULUS).into_affine();
        assert!(!torsion.is_zero());
        let shifted = (good + torsion).into_affine();
        for point in [outsider, torsion, shifted] {
            let mut proof = case.proof.clone();
            proof[b.clone()].copy_from_slice(&encode(&point));
            assert_eq!(
                case.prepared.verify(&case.statement, &proof),
                Err(ProofError::Point)
            );
        }
        // The same for a key: beta, gamma and delta are after alpha.
        let point = encode_uncompressed(&shifted);
        for position in 0..3 {
            let mut key = case.key.to_bytes();
            let at = 14 + 190 + position * point.len();
            key[at..at + point.len()].copy_from_slice(&point);
            assert_eq!(
                VerifyingKey::from_bytes(&key).unwrap().prepare().err(),
                Some(KeyError::Point)
            );
        }
    }
}

#[test]
fn points_outside_the_subgroup_are_refused() {
    outsiders_are_refused::<MNT4_753, ark_mnt4_753::g2::Config>(Case::chain());
    outsiders_are_refused::<MNT6_753, ark_mnt6_753::g2::Config>(Case::v1());
}

#[test]
fn infinity_is_refused() {
    fn check<E: Pairing>(case: &Case) {
        let [a, b, c] = case.parts();
        let encodings = [
            (a.clone(), encode(&G1::<E>::zero())),
            (b, encode(&E::G2Affine::zero())),
            (c, encode(&G1::<E>::zero())),
        ];
        for (range, bytes) in encodings {
            let mut proof = case.proof.clone();
            proof[range].copy_from_slice(&bytes);
            assert_eq!(
                case.prepared.verify(&case.statement, &proof),
                Err(ProofError::Point)
            );
        }
        // A real point with the flag of infinity, or with both.
        for flags in [0x40, 0xc0] {
            let mut proof = case.proof.clone();
            proof[a.end - 1] |= flags;
            assert_eq!(
                case.prepared.verify(&case.statement, &proof),
                Err(ProofError::Point)
            );
        }
        // All of a proof, and each point of a key.
        let zeros = [
            encode(&G1::<E>::zero()),
            encode(&E::G2Affine::zero()),
            encode(&G1::<E>::zero()),
        ]
        .concat();
        assert_eq!(
            case.prepared.verify(&case.statement, &zeros),
            Err(ProofError::Point)
        );
        let large = encode_uncompressed(&E::G2Affine::zero());
        let small = encode_uncompressed(&G1::<E>::zero());
        let mut at = 14;
        let mut points = vec![&small, &large, &large, &large];
        let inputs = if small.len() * 2 == large.len() { 4 } else { 6 };
        points.extend(vec![&small; inputs]);
        for (index, point) in points.into_iter().enumerate() {
            let mut key = case.key.to_bytes();
            at += if index == 4 { 8 } else { 0 };
            key[at..at + point.len()].copy_from_slice(point);
            assert_eq!(
                VerifyingKey::from_bytes(&key).unwrap().prepare().err(),
                Some(KeyError::Point)
            );
            at += point.len();
        }
    }
    check::<MNT4_753>(Case::chain());
    check::<MNT6_753>(Case::v1());
}

/// The encoded element plus `times` the modulus, which is the same element, but not how it is written.
fn not_canonical<F: PrimeField>(bytes: &[u8]) -> Vec<u8> {
    use ark_ff::{BigInteger, BigInteger768};
    let mut value = BigInteger768::default();
    for (index, byte) in bytes.iter().enumerate() {
        value.0[index / 8] |= u64::from(*byte) << (8 * (index % 8));
    }
    let mut modulus = BigInteger768::default();
    modulus.0.copy_from_slice(F::MODULUS.as_ref());
    value.add_with_carry(&modulus);
    value.to_bytes_le()[..95].to_vec()
}

#[test]
fn each_element_has_one_encoding() {
    fn check<E: Pairing>(case: &Case)
    where
        E::BaseField: PrimeField,
    {
        for (index, element) in case.proof.chunks(95).enumerate() {
            // Bits 6 and 7 of the last byte are flags, and there is room below them.
            let mut plain = element.to_vec();
            plain[94] &= 0x3f;
            let mut changed = not_canonical::<E::BaseField>(&plain);
            changed[94] |= element[94] & 0xc0;
            let mut proof = case.proof.clone();
            proof[index * 95..(index + 1) * 95].copy_from_slice(&changed);
            assert_eq!(
                case.prepared.verify(&case.statement, &proof),
                Err(ProofError::Point)
            );
        }
        // The sign of a key's point is known from its y, but written all the same.
        for at in [14 + 189, 14 + 190 + 4 * 95 - 1] {
            let mut key = case.key.to_bytes();
            key[at] ^= 0x80;
            assert_eq!(
                VerifyingKey::from_bytes(&key).unwrap().prepare().err(),
                Some(KeyError::Point)
            );
        }
        for (at, end) in [(14, 14 + 95), (14 + 190, 14 + 190 + 95)] {
            let mut key = case.key.to_bytes();
            let changed = not_canonical::<E::BaseField>(&key[at..end]);
            key[at..end].copy_from_slice(&changed);
            assert_eq!(
                VerifyingKey::from_bytes(&key).unwrap().prepare().err(),
                Some(KeyError::Point)
            );
        }
    }
    check::<MNT4_753>(Case::chain());
    check::<MNT6_753>(Case::v1());
}

#[test]
fn the_number_of_inputs_is_checked() {
    for (case, at) in [
        (Case::chain(), 14 + 190 + 3 * 380),
        (Case::v1(), 14 + 190 + 3 * 570),
    ] {
        for byte in 0..8 {
            let mut key = case.key.to_bytes();
            key[at + byte] ^= 1;
            assert_eq!(
                VerifyingKey::from_bytes(&key).unwrap().prepare().err(),
                Some(KeyError::Point)
            );
        }
    }
}

#[test]
fn x_without_a_y_is_refused() {
    let case = Case::chain();
    let mut refused = 0;
    for x in 0..20u64 {
        let bytes = encode(&ark_mnt4_753::Fq::from(x));
        let exists = ark_mnt4_753::G1Affine::get_point_from_x_unchecked(x.into(), false);
        let mut proof = case.proof.clone();
        proof[..95].copy_from_slice(&bytes);
        // With a y it is a point, just not the right one.
        let expected = if exists.is_some() {
            ProofError::Invalid
        } else {
            ProofError::Point
        };
        assert_eq!(case.prepared.verify(&case.statement, &proof), Err(expected));
        refused += usize::from(exists.is_none());
    }
    assert!(refused > 3);
    assert!(ark_mnt4_753::Fq::ONE.legendre().is_qr());
}
