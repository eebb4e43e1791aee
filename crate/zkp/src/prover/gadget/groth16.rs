//! A Groth16 proof verified inside a circuit. arkworks has the equation; here is what goes into it: proof
//! points that are what they must be, and a verifying key that is a witness, opened by its commitment.

use ark_crypto_primitives::{
    snark::{BooleanInputVar, SNARKGadget},
    sponge::{constraints::CryptographicSpongeVar, poseidon::constraints::PoseidonSpongeVar},
};
use ark_ec::{AffineRepr, pairing::Pairing};
use ark_ff::{Field, PrimeField};
use ark_groth16::{
    Proof, VerifyingKey,
    constraints::{Groth16VerifierGadget, PreparedVerifyingKeyVar, ProofVar},
};
use ark_mnt4_753::{MNT4_753, constraints as mnt4};
use ark_mnt6_753::{G2Affine, MNT6_753, constraints as mnt6};
use ark_r1cs_std::{
    alloc::AllocVar,
    boolean::Boolean,
    convert::{ToBitsGadget, ToConstraintFieldGadget},
    fields::fp::FpVar,
    groups::CurveVar,
    pairing::PairingVar,
};
use ark_relations::gr1cs::{ConstraintSystemRef, SynthesisError};

use super::subgroup::{Endomorphism, witness_point};
use crate::prover::commitment::{COMMITMENT_BITS, sponge_config};

type BaseField<E> = <<E as Pairing>::BaseField as Field>::BasePrimeField;

/// A proof of the wrapper circuit inside the step circuit, and the key that it is to hold under.
pub(crate) struct WrapperProofVar {
    key: PreparedVerifyingKeyVar<MNT6_753, mnt6::PairingVar>,
    /// The commitment to the key.
    pub(crate) commitment: Vec<Boolean<ark_mnt6_753::Fq>>,
    proof: ProofVar<MNT6_753, mnt6::PairingVar>,
}

impl WrapperProofVar {
    /// Enforces that the proof consists of points of G1 and G2, and that the key is opened by the commitment.
    ///
    /// Of the key nothing else is enforced: there is just one that anyone can open a network's commitment
    /// with, the one that came out of its setup.
    pub(crate) fn new(
        cs: &ConstraintSystemRef<ark_mnt6_753::Fq>,
        key: &VerifyingKey<MNT6_753>,
        proof: &Proof<MNT6_753>,
    ) -> Result<Self, SynthesisError> {
        let alpha_beta = mnt6::Fq6Var::new_witness(cs.clone(), || {
            Ok(MNT6_753::pairing(key.alpha_g1, key.beta_g2).0)
        })?;
        let delta: mnt6::G2Var = witness_point(cs, key.delta_g2)?;
        // γ is the generator in all keys that a setup makes.
        let minus_gamma = mnt6::G2Var::constant((-G2Affine::generator()).into());
        let inputs = key
            .gamma_abc_g1
            .iter()
            .map(|point| witness_point(cs, *point))
            .collect::<Result<Vec<mnt6::G1Var>, _>>()?;

        let mut elements = alpha_beta.to_constraint_field()?;
        elements.extend(delta.x.to_constraint_field()?);
        elements.extend(delta.y.to_constraint_field()?);
        for point in &inputs {
            elements.extend([point.x.clone(), point.y.clone()]);
        }
        let mut sponge = PoseidonSpongeVar::new(cs.clone(), &sponge_config());
        sponge.absorb(&elements)?;
        let digest: Vec<FpVar<_>> = sponge.squeeze_field_elements(1)?;
        let mut commitment = digest[0].to_bits_le()?;
        commitment.truncate(COMMITMENT_BITS);

        let b: mnt6::G2Var = witness_point(cs, proof.b)?;
        endomorphism_mnt6().enforce(&b.x, &b.y)?;
        Ok(Self {
            key: PreparedVerifyingKeyVar {
                alpha_g1_beta_g2: alpha_beta,
                gamma_g2_neg_pc: mnt6::PairingVar::prepare_g2(&minus_gamma)?,
                delta_g2_neg_pc: mnt6::PairingVar::prepare_g2(&delta.negate()?)?,
                gamma_abc_g1: inputs,
            },
            commitment,
            proof: ProofVar {
                a: witness_point(cs, proof.a)?,
                b,
                c: witness_point(cs, proof.c)?,
            },
        })
    }

    /// Whether the proof holds for these public inputs, given in bits.
    pub(crate) fn holds(
        &self,
        inputs: Vec<Vec<Boolean<ark_mnt6_753::Fq>>>,
    ) -> Result<Boolean<ark_mnt6_753::Fq>, SynthesisError> {
        holds(&self.key, inputs, &self.proof)
    }
}

/// Inside the wrapper circuit: whether a proof of the step circuit holds, and enforces that it consists of
/// points of G1 and G2. The key is a constant of the circuit.
pub(crate) fn step_proof_holds(
    cs: &ConstraintSystemRef<ark_mnt4_753::Fq>,
    key: &VerifyingKey<MNT4_753>,
    inputs: Vec<Vec<Boolean<ark_mnt4_753::Fq>>>,
    proof: &Proof<MNT4_753>,
) -> Result<Boolean<ark_mnt4_753::Fq>, SynthesisError> {
    let b: mnt4::G2Var = witness_point(cs, proof.b)?;
    endomorphism_mnt4().enforce(&b.x, &b.y)?;
    let proof = ProofVar {
        a: witness_point(cs, proof.a)?,
        b,
        c: witness_point(cs, proof.c)?,
    };
    let prepare = |point: <MNT4_753 as Pairing>::G2Affine| {
        mnt4::PairingVar::prepare_g2(&mnt4::G2Var::constant((-point).into()))
    };
    let key = PreparedVerifyingKeyVar::<MNT4_753, mnt4::PairingVar> {
        alpha_g1_beta_g2: mnt4::Fq4Var::new_constant(
            cs.clone(),
            MNT4_753::pairing(key.alpha_g1, key.beta_g2).0,
        )?,
        gamma_g2_neg_pc: prepare(key.gamma_g2)?,
        delta_g2_neg_pc: prepare(key.delta_g2)?,
        gamma_abc_g1: key
            .gamma_abc_g1
            .iter()
            .map(|point| mnt4::G1Var::constant((*point).into()))
            .collect(),
    };
    holds(&key, inputs, &proof)
}

fn holds<E, P>(
    key: &PreparedVerifyingKeyVar<E, P>,
    inputs: Vec<Vec<Boolean<BaseField<E>>>>,
    proof: &ProofVar<E, P>,
) -> Result<Boolean<BaseField<E>>, SynthesisError>
where
    E: Pairing,
    P: PairingVar<E>,
    BaseField<E>: PrimeField,
{
    let inputs = BooleanInputVar::new(inputs);
    Groth16VerifierGadget::<E, P>::verify_with_processed_vk(key, &inputs, proof)
}

fn endomorphism_mnt4() -> Endomorphism<ark_mnt4_753::g2::Config> {
    use ark_ec::mnt4::MNT4Config;
    use ark_mnt4_753::Config;
    Endomorphism::new(Config::ATE_LOOP_COUNT, Config::ATE_IS_LOOP_COUNT_NEG)
}

fn endomorphism_mnt6() -> Endomorphism<ark_mnt6_753::g2::Config> {
    use ark_ec::mnt6::MNT6Config;
    use ark_mnt6_753::Config;
    Endomorphism::new(Config::ATE_LOOP_COUNT, Config::ATE_IS_LOOP_COUNT_NEG)
}

#[cfg(test)]
mod tests {
    use ark_ec::{
        CurveGroup,
        short_weierstrass::{Affine, SWCurveConfig},
    };
    use ark_ff::UniformRand;
    use ark_std::rand::{SeedableRng, rngs::StdRng};

    use super::{Endomorphism, endomorphism_mnt4, endomorphism_mnt6};

    /// That it is an endomorphism of the whole curve is what the argument needs.
    fn tells_the_subgroup<P: SWCurveConfig>(endomorphism: &Endomorphism<P>) {
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..5 {
            let inside = ark_ec::short_weierstrass::Projective::<P>::rand(&mut rng);
            assert!(endomorphism.holds_for(inside.into_affine()));

            let outside = || {
                loop {
                    let mut rng = StdRng::seed_from_u64(rand_u64());
                    let x = P::BaseField::rand(&mut rng);
                    if let Some(point) = Affine::<P>::get_point_from_x_unchecked(x, true) {
                        return point;
                    }
                }
            };
            let (p, q) = (outside(), outside());
            assert!(!p.is_in_correct_subgroup_assuming_on_curve());
            assert!(!endomorphism.holds_for(p));
            assert!(endomorphism.apply(p).is_on_curve());
            let sum = (p + q).into_affine();
            let images = endomorphism.apply(p) + endomorphism.apply(q);
            assert_eq!(endomorphism.apply(sum), images.into_affine());
        }
    }

    fn rand_u64() -> u64 {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(7);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    #[test]
    fn the_endomorphisms_tell_the_subgroups() {
        tells_the_subgroup(&endomorphism_mnt4());
        tells_the_subgroup(&endomorphism_mnt6());
    }
}
