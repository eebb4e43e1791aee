//! Making proofs, link by link.

use ark_crypto_primitives::snark::SNARK;
use ark_ec::pairing::Pairing;
use ark_ff::PrimeField;
use ark_groth16::{Groth16, Proof, VerifyingKey};
use ark_mnt4_753::MNT4_753;
use ark_mnt6_753::MNT6_753;
use ark_relations::gr1cs::SynthesisError;
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use nimiq_block::{MacroBlock, TendermintProof};
use thiserror::Error;

use super::{
    Inputs, ProvingKeys, Stage,
    keys::some_proof,
    step::{StepCircuit, element},
    witness::{BlockError, LinkWitness},
    wrapper::WrapperCircuit,
};

/// Why there is no proof.
#[derive(Debug, Error)]
pub enum ProveError {
    /// The blocks are no link of the chain.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The validators of the earlier block did not sign the later one.
    #[error("block {0} is not signed by the validators of the election block before it")]
    NotSigned(u32),
    /// Without an earlier proof, only the anchor can be proven upon.
    #[error("block {0} is not the anchor, and there is no proof that leads to it")]
    NotTheAnchor(u32),
    /// The earlier proof is one of another block.
    #[error("the earlier proof does not lead to block {0}")]
    OtherChain(u32),
    /// The earlier proof does not hold under these keys.
    #[error("the earlier proof, of block {0}, does not hold under these keys")]
    EarlierProof(u32),
    /// The circuit failed.
    #[error("block {number} can't be proven: {source}")]
    Circuit {
        /// Of the block.
        number: u32,
        /// What arkworks says.
        source: SynthesisError,
    },
    /// What came out does not hold, which a circuit that is not satisfied looks like.
    #[error("the proof of block {0} does not hold")]
    Unsatisfied(u32),
}

/// A proof of the step circuit: what clients verify.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StepProof {
    /// Number of the block that it leads to.
    pub block_number: u32,
    /// Blake2s hash of the anchor's header.
    pub anchor: [u8; 32],
    /// Blake2s hash of the header of the block that it leads to.
    pub head: [u8; 32],
    /// The proof, 380 bytes in arkworks' compressed form.
    pub step: Vec<u8>,
}

/// A step proof and the wrapper's proof of it: what the next epoch is proven upon.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// What is proven.
    pub step: StepProof,
    /// The wrapper's proof, 475 bytes in arkworks' compressed form.
    pub wrapper: Vec<u8>,
}

impl StepProof {
    fn inputs(&self, keys: &ProvingKeys) -> Inputs {
        Inputs {
            anchor: self.anchor,
            head: self.head,
            keys: keys.commitment,
        }
    }
}

/// Proves that `next` follows `previous`, on top of what is proven: with `link` the chain from its anchor to
/// `previous`, without that `previous` is the anchor. Takes minutes and some 8 GB.
///
/// # Errors
/// [`ProveError`] if it is not so, or can't be proven.
pub fn prove_step(
    keys: &ProvingKeys,
    previous: &MacroBlock,
    next: &MacroBlock,
    link: Option<&Link>,
    progress: &mut dyn FnMut(Stage),
) -> Result<StepProof, ProveError> {
    let number = next.block_number();
    let before = previous.block_number();
    let parameters = &keys.parameters;
    let witness = LinkWitness::new(parameters, previous, next)?;
    let signed = previous
        .get_validators()
        .is_some_and(|validators| TendermintProof::verify(next, &validators));
    if !signed {
        return Err(ProveError::NotSigned(number));
    }
    let previous_hash: [u8; 32] = previous.hash_blake2s().into();
    let (anchor, wrapper_proof) = match link {
        None if before == parameters.anchor_number => (previous_hash, some_proof()),
        None => return Err(ProveError::NotTheAnchor(before)),
        Some(link) => {
            if link.step.head != previous_hash {
                return Err(ProveError::OtherChain(before));
            }
            let proof = read_proof::<MNT6_753>(&link.wrapper)
                .filter(|proof| {
                    let inputs = elements(&link.step.inputs(keys));
                    holds(&keys.wrapper.vk, &inputs, proof)
                })
                .ok_or(ProveError::EarlierProof(before))?;
            (link.step.anchor, proof)
        }
    };
    let head = next.hash_blake2s().into();
    let inputs = Inputs {
        anchor,
        head,
        keys: keys.commitment,
    };
    progress(Stage::Step(number));
    // There is nothing to hide, so the proof need not be blinded, which saves one of five sums.
    let proof = Groth16::<MNT4_753>::create_proof_with_reduction_no_zk(
        StepCircuit {
            parameters: *parameters,
            inputs,
            link: witness,
            wrapper_key: keys.wrapper.vk.clone(),
            wrapper_proof,
        },
        &keys.step,
    )
    .map_err(|source| ProveError::Circuit { number, source })?;
    if !holds(&keys.step.vk, &elements(&inputs), &proof) {
        return Err(ProveError::Unsatisfied(number));
    }
    Ok(StepProof {
        block_number: number,
        anchor,
        head,
        step: write_proof(&proof),
    })
}

/// Proves that there is a step proof, so that the next step can verify it. Takes a minute or two.
///
/// # Errors
/// [`ProveError`] if the step proof does not hold.
pub fn wrap(
    keys: &ProvingKeys,
    step: &StepProof,
    progress: &mut dyn FnMut(Stage),
) -> Result<Link, ProveError> {
    let number = step.block_number;
    let inputs = step.inputs(keys);
    let step_proof = read_proof::<MNT4_753>(&step.step)
        .filter(|proof| holds(&keys.step.vk, &elements(&inputs), proof))
        .ok_or(ProveError::EarlierProof(number))?;
    progress(Stage::Wrapper(number));
    let proof = Groth16::<MNT6_753>::create_proof_with_reduction_no_zk(
        WrapperCircuit {
            inputs,
            step_key: keys.step.vk.clone(),
            step_proof,
        },
        &keys.wrapper,
    )
    .map_err(|source| ProveError::Circuit { number, source })?;
    if !holds(&keys.wrapper.vk, &elements(&inputs), &proof) {
        return Err(ProveError::Unsatisfied(number));
    }
    Ok(Link {
        step: step.clone(),
        wrapper: write_proof(&proof),
    })
}

fn elements<F: PrimeField>(inputs: &Inputs) -> [F; 3] {
    [
        element(&inputs.anchor),
        element(&inputs.head),
        element(&inputs.keys),
    ]
}

fn holds<E: Pairing>(key: &VerifyingKey<E>, inputs: &[E::ScalarField], proof: &Proof<E>) -> bool {
    Groth16::<E>::verify(key, inputs, proof).unwrap_or(false)
}

fn read_proof<E: Pairing>(bytes: &[u8]) -> Option<Proof<E>> {
    Proof::deserialize_compressed(bytes).ok()
}

fn write_proof<E: Pairing>(proof: &Proof<E>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to a vector doesn't fail.
    let _ = proof.serialize_compressed(&mut bytes);
    bytes
}
