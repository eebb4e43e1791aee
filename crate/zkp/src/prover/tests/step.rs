//! The step circuit as a whole: that its pieces are tied together.

use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::UniformRand;
use ark_mnt6_753::{G1Projective, G2Affine, MNT6_753};
use ark_relations::gr1cs::ConstraintSynthesizer;
use ark_std::rand::{SeedableRng, rngs::StdRng};

use super::{PARAMETERS, elections, is_satisfied, scene::Scene, simulated::Trapdoor};
use crate::prover::{
    Inputs, Parameters,
    commitment::commit,
    keys::{some_key, some_proof},
    step::StepCircuit,
    witness::LinkWitness,
};

fn holds(circuit: StepCircuit) -> bool {
    is_satisfied(|cs| circuit.generate_constraints(cs))
}

fn scene() -> Scene {
    let mut scene = Scene::new(&[200, 200, 112]);
    scene.justify(&[200, 30, 112]);
    scene
}

#[test]
fn links_of_the_fixture_satisfy_it() {
    // Of 4, 3 and 2 validators, with and without all votes. The proofs of the others are there to be verified.
    for pair in elections().windows(2).take(3) {
        let circuit = StepCircuit {
            parameters: PARAMETERS,
            inputs: Inputs {
                anchor: pair[0].hash_blake2s().into(),
                head: pair[1].hash_blake2s().into(),
                keys: commit(&some_key()),
            },
            link: LinkWitness::new(&PARAMETERS, &pair[0], &pair[1]).unwrap(),
            wrapper_key: some_key(),
            wrapper_proof: some_proof(),
        };
        assert!(holds(circuit), "block {}", pair[1].block_number());
    }
}

#[test]
fn exactly_342_slots_satisfy_it() {
    assert!(holds(scene().step()));
}

/// A later link: the block before is not the anchor, but proven.
fn later() -> StepCircuit {
    let trapdoor = Trapdoor::<MNT6_753>::new(1);
    let key = trapdoor.key();
    let mut circuit = scene().step();
    let proven = Inputs {
        anchor: [7; 32],
        head: circuit.inputs.anchor,
        keys: commit(&key),
    };
    circuit.inputs.anchor = proven.anchor;
    circuit.inputs.keys = proven.keys;
    circuit.wrapper_proof = trapdoor.prove(&proven);
    circuit.wrapper_key = key;
    circuit
}

#[test]
fn a_link_upon_a_proof_satisfies_it() {
    assert!(holds(later()));
}

#[test]
fn the_wrong_previous_hash() {
    let mut circuit = scene().step();
    circuit.inputs.anchor[0] ^= 1;
    assert!(!holds(circuit));
}

#[test]
fn an_epoch_gap() {
    let mut circuit = scene().step();
    // The blocks are what they are; the circuit wants another distance.
    circuit.parameters = Parameters {
        blocks_per_epoch: PARAMETERS.blocks_per_epoch * 2,
        ..PARAMETERS
    };
    assert!(!holds(circuit));
}

#[test]
fn another_head() {
    let mut circuit = scene().step();
    circuit.inputs.head[31] ^= 0x80;
    assert!(!holds(circuit));
}

#[test]
fn a_validator_set_that_the_header_does_not_open() {
    // Both sets are valid, and the other one's validators signed.
    let circuit = scene().step();
    let mut other = Scene::new(&[100, 300, 112]);
    other.justify(&[100, 300, 0]);
    let mut forged = circuit;
    forged.link.validators = other.step().link.validators;
    forged.link.signature = other.step().link.signature;
    assert!(!holds(forged));
}

#[test]
fn a_punished_set_or_body_that_the_header_does_not_open() {
    for field in [0, 1] {
        let mut circuit = scene().step();
        match field {
            0 => circuit.link.punished_set_hash[5] ^= 4,
            _ => circuit.link.body_root[5] ^= 4,
        }
        assert!(!holds(circuit));
    }
}

#[test]
fn a_vote_for_another_block() {
    let mut other = scene();
    other.next.header.timestamp += 1;
    other.justify(&[200, 30, 112]);
    let mut circuit = scene().step();
    circuit.link.signature = other.step().link.signature;
    assert!(!holds(circuit));
}

#[test]
fn the_wrong_inner_proof() {
    // Of another head.
    let mut circuit = later();
    let trapdoor = Trapdoor::<MNT6_753>::new(1);
    let mut proven = circuit.inputs;
    proven.head = [9; 32];
    circuit.wrapper_proof = trapdoor.prove(&proven);
    assert!(!holds(circuit));

    // Of another anchor.
    let mut circuit = later();
    circuit.inputs.anchor = [8; 32];
    assert!(!holds(circuit));

    // None at all.
    let mut circuit = later();
    let mut rng = StdRng::seed_from_u64(5);
    circuit.wrapper_proof.a = G1Projective::rand(&mut rng).into_affine();
    assert!(!holds(circuit));
}

#[test]
fn the_wrong_verifying_key() {
    // The proof holds under the key, but the key is not the one that is committed to.
    let mut circuit = later();
    circuit.inputs.keys = commit(&Trapdoor::<MNT6_753>::new(2).key());
    assert!(!holds(circuit));
}

#[test]
fn an_inner_proof_outside_the_group() {
    let mut circuit = scene().step();
    let mut x = G2Affine::generator().x;
    circuit.wrapper_proof.b = loop {
        x += G2Affine::generator().x;
        let point = G2Affine::get_point_from_x_unchecked(x, false);
        if let Some(point) = point.filter(|p| !p.is_in_correct_subgroup_assuming_on_curve()) {
            break point;
        }
    };
    assert!(!holds(circuit));
}
