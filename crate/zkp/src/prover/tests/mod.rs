//! The circuits: what satisfies them, and that breaking one thing leaves them unsatisfied.

mod costs;
mod keys;
mod pieces;
mod scene;
mod simulated;
mod step;
mod wrapper;

use ark_ff::PrimeField;
use ark_relations::gr1cs::{
    ConstraintSystem, ConstraintSystemRef, OptimizationGoal, SynthesisError, SynthesisMode,
};
use nimiq_block::MacroBlock;
use nimiq_serde::Deserialize;

use super::UNIT_ALBATROSS as PARAMETERS;

/// Election blocks 328, 456 and so on of `tests/fixtures/unit-albatross`, made by `pico-node fixture`.
fn elections() -> Vec<MacroBlock> {
    let bytes = include_bytes!("../../../../../tests/fixtures/unit-albatross/elections.bin");
    let mut blocks = Vec::<MacroBlock>::deserialize_from_vec(bytes).unwrap();
    // Genesis has protocol version 1.
    blocks.remove(0);
    blocks
}

/// How many constraints a piece makes, and whether they are satisfied.
fn run<F: PrimeField>(
    synthesize: impl FnOnce(ConstraintSystemRef<F>) -> Result<(), SynthesisError>,
) -> (usize, bool) {
    let cs = ConstraintSystem::new_ref();
    cs.set_optimization_goal(OptimizationGoal::Constraints);
    synthesize(cs.clone()).unwrap();
    cs.finalize();
    (cs.num_constraints(), cs.is_satisfied().unwrap())
}

/// Without constraints, for what is computed alone: that they hold is another test's.
fn values<F: PrimeField, T>(
    synthesize: impl FnOnce(ConstraintSystemRef<F>) -> Result<T, SynthesisError>,
) -> T {
    let cs = ConstraintSystem::new_ref();
    cs.set_mode(SynthesisMode::Prove {
        construct_matrices: false,
        generate_lc_assignments: true,
    });
    synthesize(cs).unwrap()
}

fn is_satisfied<F: PrimeField>(
    synthesize: impl FnOnce(ConstraintSystemRef<F>) -> Result<(), SynthesisError>,
) -> bool {
    run(synthesize).1
}
