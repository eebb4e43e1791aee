//! The step circuit.
//!
//! **Statement.** Public inputs: `anchor`, `head` (Blake2s hashes of election blocks' headers, as numbers of
//! 256 bits) and `keys` (the commitment to the wrapper's verifying key, 248 bits). There is a header
//! `previous` with these properties:
//!
//! 1. it is of this network and of protocol version 2, and opens a validator set of all 512 slots;
//! 2. there is a header with hash `head` of this network and of protocol version 2, whose number is that of
//!    `previous` and one epoch;
//! 3. at least 342 slots of the set signed the vote to commit that header, at that number, in one round;
//! 4. the hash of `previous` is `anchor`, or there is a proof of the wrapper circuit, under the key that
//!    `keys` commits to, for the public inputs `anchor`, hash of `previous`, `keys`.
//!
//! **Soundness.** The wrapper's statement is that a step proof exists for the same inputs. So a step proof
//! for (A, F, keys) means: either `previous` is A, or a step proof for (A, previous, keys) exists, as long as
//! `keys` is the commitment to the real wrapper key, which the client checks by knowing it. Each such proof
//! is of a block one epoch earlier, so this ends, and it can only end at A. By induction, from A to F there
//! is a chain of blocks, each signed by 342 slots of the one before. Groth16 proofs that are extracted from
//! inside one another lose a factor in the reduction with each level; that composition is sound in practice
//! is the common assumption of all recursive systems, and no proof of it covers unlimited depth.
//!
//! **Left out.** `parent_election_hash` is a Blake2b hash of the block before, and a Blake2b gadget would cost
//! a quarter of the circuit. What it would add: at least one honest validator is among any 342 slots where
//! fewer than a third are not, and honest ones sign just one block at a number, which follows the chain that
//! they have. Two-thirds who sign a block with another parent could as well sign one with this parent.

use ark_ff::PrimeField;
use ark_groth16::{Proof, VerifyingKey};
use ark_mnt6_753::{Fq as F, MNT6_753};
use ark_r1cs_std::{
    alloc::AllocVar,
    boolean::Boolean,
    eq::EqGadget,
    fields::{FieldVar, fp::FpVar},
};
use ark_relations::gr1cs::{ConstraintSynthesizer, ConstraintSystemRef, SynthesisError};

use super::{
    Inputs, Parameters,
    gadget::{
        bits::{number, witness_bytes},
        blake2s,
        groth16::WrapperProofVar,
        header::HeaderVar,
        validators::ValidatorsVar,
        vote,
    },
    witness::LinkWitness,
};

/// See the module's documentation.
#[derive(Clone)]
pub(crate) struct StepCircuit {
    pub(crate) parameters: Parameters,
    pub(crate) inputs: Inputs,
    pub(crate) link: LinkWitness,
    pub(crate) wrapper_key: VerifyingKey<MNT6_753>,
    /// Any points of the groups will do if `previous` is the anchor.
    pub(crate) wrapper_proof: Proof<MNT6_753>,
}

impl ConstraintSynthesizer<F> for StepCircuit {
    fn generate_constraints(self, cs: ConstraintSystemRef<F>) -> Result<(), SynthesisError> {
        let Self {
            parameters,
            inputs,
            link,
            ..
        } = &self;
        let anchor = FpVar::new_input(cs.clone(), || Ok(element::<F>(&inputs.anchor)))?;
        let head = FpVar::new_input(cs.clone(), || Ok(element::<F>(&inputs.head)))?;
        let keys = FpVar::new_input(cs.clone(), || Ok(element::<F>(&inputs.keys)))?;

        let previous = HeaderVar::new(&cs, parameters, &link.previous)?;
        let validators = ValidatorsVar::new(&cs, &link.validators)?;
        let mut payload = validators.commitment;
        payload.extend(witness_bytes(&cs, &link.punished_set_hash)?);
        payload.extend(witness_bytes(&cs, &link.body_root)?);
        let payload_root = number(&blake2s::hash(&cs, &payload)?);
        payload_root.enforce_equal(&number(previous.payload_root()))?;

        let next = HeaderVar::new(&cs, parameters, &link.next)?;
        let epoch = FpVar::constant(F::from(parameters.blocks_per_epoch));
        next.number().enforce_equal(&(previous.number() + epoch))?;
        number(next.hash()).enforce_equal(&head)?;
        vote::enforce_signed(
            &cs,
            parameters,
            &next,
            link.round,
            link.signature,
            &validators.signers_key,
        )?;

        let anchor_bits = witness_bytes(&cs, &inputs.anchor)?;
        number(&anchor_bits).enforce_equal(&anchor)?;
        let wrapper = WrapperProofVar::new(&cs, &self.wrapper_key, &self.wrapper_proof)?;
        number(&wrapper.commitment).enforce_equal(&keys)?;
        let is_anchor = number(previous.hash()).is_eq(&anchor)?;
        let is_proven = wrapper.holds(vec![
            anchor_bits,
            previous.hash().to_vec(),
            wrapper.commitment.clone(),
        ])?;
        (is_anchor | is_proven).enforce_equal(&Boolean::TRUE)
    }
}

/// A little-endian number of fewer bits than the field has, as an element.
pub(super) fn element<F: PrimeField>(bytes: &[u8]) -> F {
    F::from_le_bytes_mod_order(bytes)
}
