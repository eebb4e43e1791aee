//! How many constraints the circuits and their parts have: the numbers of docs/zkp.md.

use ark_mnt4_753::MNT4_753;
use ark_mnt6_753::Fq as F;
use ark_relations::gr1cs::{ConstraintSynthesizer, ConstraintSystemRef, SynthesisError};

use super::{PARAMETERS, run, scene::Scene, simulated::Trapdoor};
use crate::prover::{
    Inputs,
    gadget::{groth16::WrapperProofVar, header::HeaderVar, validators::ValidatorsVar, vote},
    keys::{some_key, some_proof},
    witness::LinkWitness,
    wrapper::WrapperCircuit,
};

fn cost(synthesize: impl FnOnce(ConstraintSystemRef<F>) -> Result<(), SynthesisError>) -> usize {
    run(synthesize).0
}

#[test]
fn costs() {
    let mut scene = Scene::new(&[200, 312]);
    scene.justify(&[200, 312]);
    let link = LinkWitness::new(&PARAMETERS, &scene.previous, &scene.next).unwrap();
    let header = cost(|cs| HeaderVar::new(&cs, &PARAMETERS, &link.next).map(drop));
    let validators = cost(|cs| ValidatorsVar::new(&cs, &link.validators).map(drop));
    let two_validators = cost(|cs| ValidatorsVar::new(&cs, &link.validators[..2]).map(drop));
    let vote = cost(|cs| {
        let header = HeaderVar::new(&cs, &PARAMETERS, &link.next)?;
        let key = ValidatorsVar::new(&cs, &link.validators)?.signers_key;
        vote::enforce_signed(&cs, &PARAMETERS, &header, 0, link.signature, &key)
    }) - header
        - validators;
    let proof = cost(|cs| {
        let key = some_key();
        let wrapper = WrapperProofVar::new(&cs, &key, &some_proof())?;
        let bits = |count: usize| vec![wrapper.commitment[0].clone(); count];
        wrapper
            .holds(vec![bits(256), bits(256), bits(248)])
            .map(drop)
    });
    let step = cost(|cs| scene.step().generate_constraints(cs));
    let wrapper = run(|cs| {
        let trapdoor = Trapdoor::<MNT4_753>::new(3);
        let inputs = Inputs {
            anchor: [1; 32],
            head: [2; 32],
            keys: [3; 31],
        };
        WrapperCircuit {
            inputs,
            step_key: trapdoor.key(),
            step_proof: trapdoor.prove(&inputs),
        }
        .generate_constraints(cs)
    })
    .0;
    let rest = step - 2 * header - validators - vote - proof;
    assert_eq!(
        [
            header,
            validators,
            (validators - two_validators) / 2,
            vote,
            proof,
            rest,
            step,
            wrapper
        ],
        [
            132_544, 499_185, 124_830, 161_195, 148_984, 43_721, 1_118_173, 49_815
        ]
    );
}
