//! The vote on an election block: what validators sign, the point that it is hashed to, and the signature.

use std::cmp::Ordering;

use ark_ec::{AffineRepr, short_weierstrass::SWCurveConfig};
use ark_ff::{Field, MontConfig, One, PrimeField, Zero};
use ark_mnt6_753::{
    Fq as F, FqConfig, G1Affine, G2Affine,
    constraints::{G1Var, G2Var, PairingVar},
    g1,
};
use ark_r1cs_std::{
    GR1CSVar,
    alloc::AllocVar,
    boolean::Boolean,
    eq::EqGadget,
    fields::{FieldVar, fp::FpVar},
    groups::CurveVar,
    pairing::PairingVar as _,
};
use ark_relations::gr1cs::{ConstraintSystemRef, SynthesisError};

use super::{
    bits::{constant_bytes, number, sum, value_of, witness_bytes},
    blake2s,
    header::HeaderVar,
    subgroup::witness_point,
    validators::is_larger_root,
};
use crate::prover::Parameters;

/// First byte of a vote to commit (`nimiq-primitives` 2.3.0, `PREFIX_TENDERMINT_COMMIT`).
const COMMIT: u8 = 4;
/// Blake2X is told that this many bytes are wanted, of which three times 32 are taken.
const OUTPUT_SIZE: u16 = 0xffff;
/// Bits of the hash that become an x coordinate.
const X_BITS: usize = 752;
/// The bit of the hash that tells the larger root from the smaller one.
const Y_BIT: usize = 767;
/// How many x coordinates are tried. Each is one of a point with probability 1/2, so that one message in
/// 2^128 has none: it can't be proven.
const TRIES: u64 = 128;

/// Enforces that `key` signed the vote for the block with this header, in some round.
///
/// The key must be in G2. The signature need not be checked to be in G1: all points of its curve are.
pub(crate) fn enforce_signed(
    cs: &ConstraintSystemRef<F>,
    parameters: &Parameters,
    header: &HeaderVar<F>,
    round: u32,
    signature: G1Affine,
    key: &G2Var,
) -> Result<(), SynthesisError> {
    let mut message = constant_bytes(&[COMMIT, parameters.network]);
    message.extend(witness_bytes(cs, &round.to_be_bytes())?);
    message.extend_from_slice(header.number_bytes());
    message.extend(constant_bytes(&[1]));
    message.extend_from_slice(header.hash());
    let point = hash_to_g1(cs, &blake2s::hash(cs, &message)?)?;

    // e(signature, g) = e(point, key), as one product.
    let signature: G1Var = witness_point(cs, signature)?;
    let minus_generator = G2Var::constant((-G2Affine::generator()).into());
    let product = PairingVar::product_of_pairings(
        &[
            PairingVar::prepare_g1(&signature)?,
            PairingVar::prepare_g1(&point)?,
        ],
        &[
            PairingVar::prepare_g2(&minus_generator)?,
            PairingVar::prepare_g2(key)?,
        ],
    )?;
    product.enforce_equal(&FieldVar::one())
}

/// The point that a hash stands for (`nimiq-bls` 2.3.0, `Signature::hash_to_g1`): the first x, counting up
/// from a number derived from it, that is one of a point.
///
/// That it is the first is enforced: for each x before it, the right side of the curve equation times a
/// non-residue is a square.
pub(crate) fn hash_to_g1(
    cs: &ConstraintSystemRef<F>,
    hash: &[Boolean<F>],
) -> Result<G1Var, SynthesisError> {
    let mut output = Vec::with_capacity(3 * 256);
    for i in 0..3 {
        output.extend(blake2s::expand(cs, hash, i, OUTPUT_SIZE)?);
    }
    let start = number(&output[..X_BITS]);

    let y_bit = &output[Y_BIT];
    let tries = Tries::new(
        F::from_bigint(value_of(&start)).unwrap_or_default(),
        y_bit.value().unwrap_or_default(),
    );
    let is_chosen = (0..TRIES)
        .map(|i| Boolean::new_witness(cs.clone(), || Ok(i == tries.chosen)))
        .collect::<Result<Vec<_>, _>>()?;
    sum(is_chosen.iter().map(|bit| (F::one(), bit))).enforce_equal(&FpVar::one())?;

    let mut y = FpVar::zero();
    let mut is_before = FpVar::one();
    for (i, is_chosen) in (0..TRIES).zip(&is_chosen) {
        let chosen = FpVar::from(is_chosen.clone());
        is_before -= &chosen;
        let x = &start + FpVar::constant(F::from(i));
        let right = (x.square()? + g1::Config::COEFF_A) * &x + g1::Config::COEFF_B;
        let root = FpVar::new_witness(cs.clone(), || Ok(tries.root(i)))?;
        let factor = &is_before * FqConfig::GENERATOR + &chosen;
        root.square_equals(&(right * factor))?;
        y += root * chosen;
    }
    let offset = sum((0..TRIES).map(F::from).zip(&is_chosen));
    is_larger_root(&y)?.enforce_equal(y_bit)?;
    Ok(G1Var::new(start + offset, y, FpVar::one()))
}

/// What a prover assigns for the x coordinates that are tried.
struct Tries {
    start: F,
    chosen: u64,
    /// Of the point that is found.
    y: F,
}

impl Tries {
    fn new(start: F, is_larger: bool) -> Self {
        let found = (0..TRIES).find_map(|i| {
            let (smaller, larger) = G1Affine::get_ys_from_x_unchecked(start + F::from(i))?;
            Some((i, if is_larger { larger } else { smaller }))
        });
        // Without one, no assignment satisfies the circuit.
        let (chosen, y) = found.unwrap_or_default();
        Self { start, chosen, y }
    }

    fn root(&self, i: u64) -> F {
        match i.cmp(&self.chosen) {
            Ordering::Less => {
                let x = self.start + F::from(i);
                let right = (x.square() + g1::Config::COEFF_A) * x + g1::Config::COEFF_B;
                (right * FqConfig::GENERATOR).sqrt().unwrap_or_default()
            }
            Ordering::Equal => self.y,
            Ordering::Greater => F::zero(),
        }
    }
}
