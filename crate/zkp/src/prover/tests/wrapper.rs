//! The wrapper circuit.

use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::UniformRand;
use ark_mnt4_753::{G1Projective, G2Affine, MNT4_753};
use ark_relations::gr1cs::ConstraintSynthesizer;
use ark_std::rand::{SeedableRng, rngs::StdRng};

use super::{is_satisfied, simulated::Trapdoor};
use crate::prover::{Inputs, wrapper::WrapperCircuit};

fn circuit() -> WrapperCircuit {
    let trapdoor = Trapdoor::<MNT4_753>::new(3);
    let inputs = Inputs {
        anchor: [0xff; 32],
        head: [0x5a; 32],
        keys: [0xff; 31],
    };
    WrapperCircuit {
        inputs,
        step_key: trapdoor.key(),
        step_proof: trapdoor.prove(&inputs),
    }
}

fn holds(circuit: WrapperCircuit) -> bool {
    is_satisfied(|cs| circuit.generate_constraints(cs))
}

#[test]
fn a_step_proof_satisfies_it() {
    assert!(holds(circuit()));
}

#[test]
fn other_inputs() {
    for field in 0..3 {
        let mut circuit = circuit();
        match field {
            0 => circuit.inputs.anchor[3] ^= 1,
            1 => circuit.inputs.head[3] ^= 1,
            _ => circuit.inputs.keys[3] ^= 1,
        }
        assert!(!holds(circuit));
    }
}

#[test]
fn another_proof() {
    let mut rng = StdRng::seed_from_u64(6);
    let mut forged = circuit();
    forged.step_proof.a = G1Projective::rand(&mut rng).into_affine();
    assert!(!holds(forged));
    let mut forged = circuit();
    forged.step_proof.c = G1Projective::rand(&mut rng).into_affine();
    assert!(!holds(forged));
}

#[test]
fn another_key() {
    let mut circuit = circuit();
    circuit.step_key = Trapdoor::<MNT4_753>::new(4).key();
    assert!(!holds(circuit));
}

#[test]
fn a_proof_outside_the_group() {
    let mut circuit = circuit();
    let mut x = G2Affine::generator().x;
    circuit.step_proof.b = loop {
        x += G2Affine::generator().x;
        let point = G2Affine::get_point_from_x_unchecked(x, false);
        if let Some(point) = point.filter(|p| !p.is_in_correct_subgroup_assuming_on_curve()) {
            break point;
        }
    };
    assert!(!holds(circuit));
}
