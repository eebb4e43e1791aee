//! The arithmetic against arkworks'.

use ark_ec::pairing::Pairing;
use ark_ec::short_weierstrass::{Affine as ArkAffine, SWCurveConfig};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{BigInteger, Field, PrimeField, UniformRand};
use ark_mnt4_753::{Fq as F4, Fq2, Fq4, MNT4_753};
use ark_mnt6_753::{Fq as F6, Fq3, Fq6, MNT6_753};
use ark_serialize::CanonicalSerialize;
use ark_std::rand::SeedableRng;
use ark_std::rand::rngs::StdRng;

use super::*;

/// The same element. arkworks' coefficients of a tower come in another order than those of one extension.
fn element<F: Field>(curve: &Curve, value: &F) -> Element
where
    F::BasePrimeField: PrimeField,
{
    let mut result = ZERO;
    let coefficients: Vec<_> = value.to_base_prime_field_elements().collect();
    let d = coefficients.len();
    for (index, coefficient) in coefficients.iter().enumerate() {
        // Of degree k the first half are the even powers of X, the second one the odd ones.
        let power = if d == curve.k {
            2 * index % d + 2 * index / d
        } else {
            index
        };
        let bytes = coefficient.into_bigint().to_bytes_le();
        result[power] = curve.modulus.decode(&bytes[..BYTES]).unwrap();
    }
    result
}

/// Numbers that carries and reductions may stumble on, and random ones.
fn samples<F: Field>(rng: &mut StdRng) -> Vec<F> {
    let two = F::ONE + F::ONE;
    let mut samples = vec![F::ZERO, F::ONE, -F::ONE, two, -two, two.inverse().unwrap()];
    for power in [27, 28, 29, 728, 751, 752] {
        let value = two.pow([power]);
        samples.extend([value, value - F::ONE, -value]);
    }
    samples.extend((0..12).map(|_| F::rand(rng)));
    samples
}

fn field_agrees<F: Field>(curve: &Curve, d: usize)
where
    F::BasePrimeField: PrimeField,
{
    let mut rng = StdRng::seed_from_u64(d as u64);
    let samples = samples::<F>(&mut rng);
    for a in &samples {
        let own = element(curve, a);
        for b in &samples {
            let other = element(curve, b);
            assert_eq!(curve.mul(d, &own, &other), element(curve, &(*a * b)));
            assert_eq!(
                curve.linear(d, &own, 1, &other, 1),
                element(curve, &(*a + b))
            );
            assert_eq!(
                curve.linear(d, &own, 3, &other, -8),
                element(curve, &(*a + a + a - b.double().double().double()))
            );
            assert_eq!(
                curve.linear(d, &own, -1, &other, 26),
                element(curve, &(*b * F::from(26u8) - a))
            );
        }
        assert_eq!(
            curve.pow(d, &own, &N, 3),
            element(curve, &a.pow(number(&N, 3)))
        );
        if d == curve.k {
            assert_eq!(
                curve.frobenius_map(&own),
                element(curve, &a.frobenius_map(1))
            );
        }
    }
}

/// 64-bit limbs of 28-bit ones, without the lowest `skip` bits.
fn number(limbs: &[u32], skip: usize) -> Vec<u64> {
    let mut result = vec![0; limbs.len() / 2];
    for index in skip..limbs.len() * LIMB_BITS {
        if bit(limbs, index) {
            result[(index - skip) / 64] |= 1 << ((index - skip) % 64);
        }
    }
    result
}

#[test]
fn fields_agree_with_arkworks() {
    let (mnt4, mnt6) = (Curve::new(4), Curve::new(6));
    field_agrees::<F4>(&mnt4, 1);
    field_agrees::<Fq2>(&mnt4, 2);
    field_agrees::<Fq4>(&mnt4, 4);
    field_agrees::<F6>(&mnt6, 1);
    field_agrees::<Fq3>(&mnt6, 3);
    field_agrees::<Fq6>(&mnt6, 6);
}

#[test]
fn numbers_from_the_modulus_up_are_no_elements() {
    for (curve, modulus) in [(Curve::new(4), F4::MODULUS), (Curve::new(6), F6::MODULUS)] {
        let decode =
            |number: &ark_ff::BigInteger768| curve.modulus.decode(&number.to_bytes_le()[..BYTES]);
        let mut number = modulus;
        assert!(decode(&number).is_none());
        number.sub_with_borrow(&1u64.into());
        assert!(decode(&number).is_some());
        number.add_with_carry(&2u64.into());
        assert!(decode(&number).is_none());
        assert!(curve.modulus.decode(&[0xff; BYTES]).is_none());
    }
}

fn roots_agree<P: SWCurveConfig>(curve: &Curve, group: &Group)
where
    <P::BaseField as Field>::BasePrimeField: PrimeField,
{
    let mut rng = StdRng::seed_from_u64(1);
    let mut without = 0;
    for value in samples::<P::BaseField>(&mut rng).into_iter().skip(1) {
        let own = element(curve, &value);
        match (curve.sqrt(group, &own), value.sqrt()) {
            (Some(root), Some(_)) => assert_eq!(curve.mul(group.degree, &root, &root), own),
            (None, None) => without += 1,
            _ => panic!("not the same for {value}"),
        }
    }
    assert!(without > 0);
    assert!(curve.sqrt(group, &ZERO).is_none_or(|root| root == ZERO));
}

fn points_agree<P: SWCurveConfig>(curve: &Curve, group: &Group)
where
    <P::BaseField as Field>::BasePrimeField: PrimeField,
{
    let mut rng = StdRng::seed_from_u64(2);
    for _ in 0..6 {
        let point = (ArkAffine::<P>::generator() * P::ScalarField::rand(&mut rng)).into_affine();
        let mut compressed = Vec::new();
        point.serialize_compressed(&mut compressed).unwrap();
        let mut plain = Vec::new();
        point.serialize_uncompressed(&mut plain).unwrap();
        for (bytes, compress) in [(compressed, true), (plain, false)] {
            let mut input = bytes.as_slice();
            let own = curve.decode(group, &mut input, compress).unwrap();
            assert!(input.is_empty());
            assert_eq!(own.x, element(curve, &point.x));
            assert_eq!(own.y, element(curve, &point.y));
            let mut multiple = curve.jacobian(&own);
            curve.double(group, &mut multiple);
            curve.add(group, &mut multiple, &own);
            let expected = (point.into_group() + point + point).into_affine();
            let expected = Affine {
                x: element(curve, &expected.x),
                y: element(curve, &expected.y),
            };
            assert!(curve.is_at(group, &multiple, &expected));
            // What has no answer stays without one.
            let mut none = curve.jacobian(&own);
            curve.add(group, &mut none, &own);
            curve.double(group, &mut none);
            curve.add(group, &mut none, &expected);
            assert_eq!(none.z, ZERO);
            assert!(!curve.is_at(group, &none, &own));
        }
    }
}

#[test]
fn roots_and_points_agree_with_arkworks() {
    let (mnt4, mnt6) = (Curve::new(4), Curve::new(6));
    roots_agree::<ark_mnt4_753::g1::Config>(&mnt4, &mnt4.g1);
    roots_agree::<ark_mnt4_753::g2::Config>(&mnt4, &mnt4.g2);
    roots_agree::<ark_mnt6_753::g1::Config>(&mnt6, &mnt6.g1);
    roots_agree::<ark_mnt6_753::g2::Config>(&mnt6, &mnt6.g2);
    points_agree::<ark_mnt4_753::g1::Config>(&mnt4, &mnt4.g1);
    points_agree::<ark_mnt4_753::g2::Config>(&mnt4, &mnt4.g2);
    points_agree::<ark_mnt6_753::g1::Config>(&mnt6, &mnt6.g1);
    points_agree::<ark_mnt6_753::g2::Config>(&mnt6, &mnt6.g2);
}

fn products_of_pairings_agree<E: Pairing>(k: usize) {
    let curve = Curve::new(k);
    let mut rng = StdRng::seed_from_u64(3);
    let g1 = |scalar: E::ScalarField| {
        let mut bytes = Vec::new();
        (E::G1::from(E::G1Affine::generator()) * scalar)
            .into_affine()
            .serialize_compressed(&mut bytes)
            .unwrap();
        curve
            .decode(&curve.g1, &mut bytes.as_slice(), true)
            .unwrap()
    };
    let g2 = |scalar: E::ScalarField| {
        let mut bytes = Vec::new();
        (E::G2::from(E::G2Affine::generator()) * scalar)
            .into_affine()
            .serialize_compressed(&mut bytes)
            .unwrap();
        curve
            .lines(
                &curve
                    .decode(&curve.g2, &mut bytes.as_slice(), true)
                    .unwrap(),
            )
            .unwrap()
    };
    for _ in 0..3 {
        let [a, b, c] = [0; 3].map(|_| E::ScalarField::rand(&mut rng));
        // ab + c * (-ab / c) = 0
        let (left, right) = (g2(b), g2(-a * b * c.inverse().unwrap()));
        assert!(curve.is_one(&curve.miller_loop(&[(&g1(a), &left), (&g1(c), &right)])));
        assert!(!curve.is_one(&curve.miller_loop(&[(&g1(a), &left), (&g1(-c), &right)])));
        assert!(!curve.is_one(&curve.miller_loop(&[(&g1(a), &left)])));
    }
    assert!(curve.is_one(&curve.one()));
    assert!(!curve.is_one(&ZERO));
}

/// Elements that the final exponentiation takes to one, and those it doesn't.
fn final_exponentiations_agree<E: Pairing>(k: usize)
where
    <E::TargetField as Field>::BasePrimeField: PrimeField,
{
    let curve = Curve::new(k);
    let mut rng = StdRng::seed_from_u64(4);
    for _ in 0..3 {
        let value = E::TargetField::rand(&mut rng);
        assert!(!curve.is_one(&element(&curve, &value)));
        let power = value.pow(E::ScalarField::MODULUS);
        assert!(curve.is_one(&element(&curve, &power)));
        let half = value.frobenius_map(k / 2) * value;
        assert!(curve.is_one(&element(&curve, &half)));
    }
}

#[test]
fn pairings_agree_with_arkworks() {
    products_of_pairings_agree::<MNT4_753>(4);
    products_of_pairings_agree::<MNT6_753>(6);
    final_exponentiations_agree::<MNT4_753>(4);
    final_exponentiations_agree::<MNT6_753>(6);
}
