//! Groth16 keys whose trapdoor is known: they prove anything, in no time. What the circuits verify inside of
//! them can be made up with these.

use ark_ec::{CurveGroup, PrimeGroup, pairing::Pairing};
use ark_ff::{Field, One, UniformRand};
use ark_groth16::{Groth16, Proof, VerifyingKey};
use ark_std::rand::{SeedableRng, rngs::StdRng};

use crate::prover::{Inputs, step::element};

pub(super) struct Trapdoor<E: Pairing> {
    alpha: E::ScalarField,
    beta: E::ScalarField,
    delta: E::ScalarField,
    inputs: [E::ScalarField; 4],
}

impl<E: Pairing> Trapdoor<E> {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut number = || E::ScalarField::rand(&mut rng);
        Self {
            alpha: number(),
            beta: number(),
            delta: number(),
            inputs: [number(), number(), number(), number()],
        }
    }

    pub(super) fn key(&self) -> VerifyingKey<E> {
        let g = |scalar: E::ScalarField| (E::G1::generator() * scalar).into_affine();
        let h = |scalar: E::ScalarField| (E::G2::generator() * scalar).into_affine();
        VerifyingKey {
            alpha_g1: g(self.alpha),
            beta_g2: h(self.beta),
            gamma_g2: h(E::ScalarField::one()),
            delta_g2: h(self.delta),
            gamma_abc_g1: self.inputs.iter().map(|scalar| g(*scalar)).collect(),
        }
    }

    pub(super) fn prove(&self, inputs: &Inputs) -> Proof<E> {
        let mut rng = StdRng::seed_from_u64(1);
        let (a, b) = (
            E::ScalarField::rand(&mut rng),
            E::ScalarField::rand(&mut rng),
        );
        let values = [
            element(&inputs.anchor),
            element(&inputs.head),
            element(&inputs.keys),
        ];
        let sum: E::ScalarField = values
            .iter()
            .zip(&self.inputs[1..])
            .map(|(value, scalar): (&E::ScalarField, _)| *value * scalar)
            .sum();
        let rest = a * b - self.alpha * self.beta - self.inputs[0] - sum;
        let c = rest * self.delta.inverse().unwrap();
        let proof = Proof {
            a: (E::G1::generator() * a).into_affine(),
            b: (E::G2::generator() * b).into_affine(),
            c: (E::G1::generator() * c).into_affine(),
        };
        let key = ark_groth16::prepare_verifying_key(&self.key());
        assert!(Groth16::<E>::verify_proof(&key, &proof, &values).unwrap());
        proof
    }
}
