//! The wrapper circuit.
//!
//! **Statement.** Public inputs as those of the step circuit: `anchor`, `head`, `keys`. There is a proof of
//! the step circuit for them, under the step's verifying key, which is a constant here.
//!
//! It moves a proof from MNT4-753 to MNT6-753, whose base field is the scalar field of MNT4-753, so that the
//! next step can verify it with arithmetic of its own field.
//!
//! **Soundness.** The inputs are taken apart into 256, 256 and 248 bits: fewer than either field has, so
//! that the same number is an input there and here. The proof's points are enforced to be in their groups.

use ark_groth16::{Proof, VerifyingKey};
use ark_mnt4_753::{Fq as F, MNT4_753};
use ark_r1cs_std::{alloc::AllocVar, boolean::Boolean, eq::EqGadget, fields::fp::FpVar};
use ark_relations::gr1cs::{ConstraintSynthesizer, ConstraintSystemRef, SynthesisError};

use super::{
    Inputs,
    gadget::{
        bits::{number, witness_bytes},
        groth16::step_proof_holds,
    },
    step::element,
};

/// See the module's documentation.
#[derive(Clone)]
pub(crate) struct WrapperCircuit {
    pub(crate) inputs: Inputs,
    pub(crate) step_key: VerifyingKey<MNT4_753>,
    pub(crate) step_proof: Proof<MNT4_753>,
}

impl ConstraintSynthesizer<F> for WrapperCircuit {
    fn generate_constraints(self, cs: ConstraintSystemRef<F>) -> Result<(), SynthesisError> {
        let Inputs { anchor, head, keys } = &self.inputs;
        let mut inputs = Vec::with_capacity(3);
        for bytes in [&anchor[..], &head[..], &keys[..]] {
            let input = FpVar::new_input(cs.clone(), || Ok(element::<F>(bytes)))?;
            let bits = witness_bytes(&cs, bytes)?;
            number(&bits).enforce_equal(&input)?;
            inputs.push(bits);
        }
        step_proof_holds(&cs, &self.step_key, inputs, &self.step_proof)?
            .enforce_equal(&Boolean::TRUE)
    }
}
