//! Bytes and numbers as bits. Bytes are little-endian in their bits, as the hash functions and the field
//! elements' encoding have them.

use ark_ff::{BigInteger, PrimeField};
use ark_r1cs_std::{
    GR1CSVar,
    alloc::AllocVar,
    boolean::Boolean,
    eq::EqGadget,
    fields::fp::{AllocatedFp, FpVar},
};
use ark_relations::gr1cs::{ConstraintSystemRef, LinearCombination, SynthesisError, Variable};

/// The bits of `bytes` as witnesses.
pub(crate) fn witness_bytes<F: PrimeField>(
    cs: &ConstraintSystemRef<F>,
    bytes: &[u8],
) -> Result<Vec<Boolean<F>>, SynthesisError> {
    bits_of(bytes)
        .map(|bit| Boolean::new_witness(cs.clone(), || Ok(bit)))
        .collect()
}

/// The bits of `bytes` as constants.
pub(crate) fn constant_bytes<F: PrimeField>(bytes: &[u8]) -> Vec<Boolean<F>> {
    bits_of(bytes).map(Boolean::constant).collect()
}

fn bits_of(bytes: &[u8]) -> impl Iterator<Item = bool> + '_ {
    bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |i| byte >> i & 1 == 1))
}

/// The number that bits stand for, the least significant one first. There must be fewer of them than the
/// field's modulus has, or the number wraps.
pub(crate) fn number<'a, F: PrimeField>(
    bits: impl IntoIterator<Item = &'a Boolean<F>>,
) -> FpVar<F> {
    sum(bits.into_iter().scan(F::one(), |weight, bit| {
        let term = (*weight, bit);
        weight.double_in_place();
        Some(term)
    }))
}

/// The weighted sum of bits, as one linear combination: arkworks' operators would make one of each step.
pub(crate) fn sum<'a, F: PrimeField>(
    terms: impl IntoIterator<Item = (F, &'a Boolean<F>)>,
) -> FpVar<F> {
    let mut cs = ConstraintSystemRef::None;
    let mut combination = LinearCombination::zero();
    let mut value = Some(F::zero());
    for (weight, bit) in terms {
        cs = cs.or(bit.cs());
        match bit {
            Boolean::Constant(false) => continue,
            Boolean::Constant(true) => combination.0.push((weight, Variable::One)),
            Boolean::Var(bit) => combination.0.push((weight, bit.variable())),
        }
        match bit.value() {
            Ok(true) => value = value.map(|value| value + weight),
            Ok(false) => {}
            Err(_) => value = None,
        }
    }
    match cs.new_lc(|| combination) {
        Ok(variable) => FpVar::Var(AllocatedFp::new(value, variable, cs)),
        // Without a constraint system there are only constants.
        Err(_) => FpVar::Constant(value.unwrap_or_default()),
    }
}

/// The bits of a big-endian number, the least significant one first.
pub(crate) fn from_big_endian<F: PrimeField>(bits: &[Boolean<F>]) -> Vec<Boolean<F>> {
    bits.chunks(8).rev().flatten().cloned().collect()
}

/// Enforces that `low` is not above `high`, where both differ by less than 2^`width`.
pub(crate) fn enforce_not_above<F: PrimeField>(
    cs: &ConstraintSystemRef<F>,
    low: &FpVar<F>,
    high: &FpVar<F>,
    width: usize,
) -> Result<(), SynthesisError> {
    let difference = high - low;
    let value = value_of(&difference);
    let bits = (0..width)
        .map(|i| Boolean::new_witness(cs.clone(), || Ok(value.get_bit(i))))
        .collect::<Result<Vec<_>, _>>()?;
    number(&bits).enforce_equal(&difference)
}

/// What is assigned to a variable, or 0 where nothing is yet, as when keys are made.
pub(crate) fn value_of<F: PrimeField>(variable: &FpVar<F>) -> F::BigInt {
    variable.value().unwrap_or_default().into_bigint()
}
