//! The circuits against real blocks: `tests/fixtures/unit-albatross`, made by `pico-node fixture`.

use ark_relations::gr1cs::{ConstraintSynthesizer, ConstraintSystem, OptimizationGoal};
use nimiq_block::MacroBlock;
use nimiq_serde::Deserialize;

use super::{
    Inputs, Parameters,
    commitment::commit,
    keys::{some_key, some_proof},
    step::StepCircuit,
    witness::LinkWitness,
};

pub(super) const PARAMETERS: Parameters = Parameters {
    network: 7,
    blocks_per_epoch: 128,
    anchor_number: 328,
    max_validators: 4,
};

/// Election blocks 328, 456 and so on.
pub(super) fn elections() -> Vec<MacroBlock> {
    let bytes = include_bytes!("../../../../tests/fixtures/unit-albatross/elections.bin");
    let mut blocks = Vec::<MacroBlock>::deserialize_from_vec(bytes).unwrap();
    blocks.remove(0);
    blocks
}

pub(super) fn hash(block: &MacroBlock) -> [u8; 32] {
    block.hash_blake2s().into()
}

/// The first link, from the anchor.
pub(super) fn first_step(previous: &MacroBlock, next: &MacroBlock) -> StepCircuit {
    let wrapper_key = some_key();
    StepCircuit {
        parameters: PARAMETERS,
        inputs: Inputs {
            anchor: hash(previous),
            head: hash(next),
            keys: commit(&wrapper_key),
        },
        link: LinkWitness::new(&PARAMETERS, previous, next).unwrap(),
        wrapper_key,
        wrapper_proof: some_proof(),
    }
}

/// The constraints of the group that is broken first, or `None` if the circuit is satisfied.
pub(super) fn unsatisfied<F: ark_ff::PrimeField>(
    circuit: impl ConstraintSynthesizer<F>,
) -> Option<String> {
    let cs = ConstraintSystem::new_ref();
    cs.set_optimization_goal(OptimizationGoal::Constraints);
    circuit.generate_constraints(cs.clone()).unwrap();
    println!("{} constraints", cs.num_constraints());
    cs.finalize();
    cs.which_is_unsatisfied().unwrap()
}

#[test]
fn every_link_of_the_fixture_satisfies_the_step() {
    let blocks = elections();
    for pair in blocks.windows(2) {
        let start = std::time::Instant::now();
        assert_eq!(unsatisfied(first_step(&pair[0], &pair[1])), None);
        println!("{:?}", start.elapsed());
    }
}
