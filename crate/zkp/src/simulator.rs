//! **Not for keys that anybody relies on.** Whoever knows a key's trapdoor can prove anything, and here everybody does.
//! Tests and benches have proofs of whatever chain they make up by it, without circuits.

use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{Field, PrimeField};
use ark_groth16::{Proof, VerifyingKey as Groth16Key};
use ark_mnt4_753::MNT4_753;
use ark_mnt6_753::MNT6_753;
use ark_serialize::CanonicalSerialize;

use crate::key::{VerifyingKey, chain, v1};
use crate::verify::{CHUNK, Statement};

/// A verifying key and what it was made from.
#[derive(Clone, Debug)]
pub struct Trapdoor {
    seed: u64,
    network: u8,
    anchor_number: u32,
    keys_commitment: Vec<u8>,
    v1: bool,
}

impl Trapdoor {
    /// For election-chain proofs. The same seed gives the same key.
    pub fn chain(seed: u64, network: u8, anchor_number: u32) -> Self {
        Self {
            seed,
            network,
            anchor_number,
            keys_commitment: Random(!seed).bytes(31),
            v1: false,
        }
    }

    /// For proofs of version 1 of the protocol.
    pub fn v1(seed: u64, network: u8, anchor_number: u32) -> Self {
        Self {
            seed,
            network,
            anchor_number,
            keys_commitment: Random(!seed).bytes(190),
            v1: true,
        }
    }

    /// The key.
    ///
    /// # Panics
    /// Never: what is made here has the right lengths.
    #[allow(clippy::expect_used)]
    pub fn verifying_key(&self) -> VerifyingKey {
        if self.v1 {
            let key = encode(|bytes| {
                Secrets::<MNT6_753>::new(self)
                    .key()
                    .serialize_uncompressed(bytes)
            });
            VerifyingKey::V1(
                v1::VerifyingKey::new(
                    self.network,
                    self.anchor_number,
                    &key,
                    &self.keys_commitment,
                )
                .expect("its lengths are right"),
            )
        } else {
            let key = Secrets::<MNT4_753>::new(self).key();
            let keys_commitment = self
                .keys_commitment
                .as_slice()
                .try_into()
                .expect("made with this length");
            VerifyingKey::Chain(
                chain::VerifyingKey::from_groth16(
                    self.network,
                    self.anchor_number,
                    &key,
                    keys_commitment,
                )
                .expect("its length is right"),
            )
        }
    }

    /// A proof of the statement, whether it is true or not.
    pub fn prove(&self, statement: &Statement) -> Vec<u8> {
        if self.v1 {
            encode(|bytes| {
                Secrets::<MNT6_753>::new(self)
                    .prove(statement)
                    .serialize_compressed(bytes)
            })
        } else {
            encode(|bytes| {
                Secrets::<MNT4_753>::new(self)
                    .prove(statement)
                    .serialize_compressed(bytes)
            })
        }
    }
}

/// What a proof takes: the logarithms of all of the key's points.
struct Secrets<'a, E: Pairing> {
    trapdoor: &'a Trapdoor,
    alpha: E::ScalarField,
    beta: E::ScalarField,
    gamma: E::ScalarField,
    delta: E::ScalarField,
    inputs: Vec<E::ScalarField>,
}

impl<'a, E: Pairing> Secrets<'a, E> {
    fn new(trapdoor: &'a Trapdoor) -> Self {
        let mut random = Random(trapdoor.seed);
        let mut scalar = || random.scalar();
        Self {
            trapdoor,
            alpha: scalar(),
            beta: scalar(),
            gamma: scalar(),
            delta: scalar(),
            inputs: (0..3 + trapdoor.keys_commitment.chunks(CHUNK).len())
                .map(|_| scalar())
                .collect(),
        }
    }

    fn key(&self) -> Groth16Key<E> {
        Groth16Key {
            alpha_g1: point(self.alpha),
            beta_g2: point(self.beta),
            gamma_g2: point(self.gamma),
            delta_g2: point(self.delta),
            gamma_abc_g1: self
                .inputs
                .iter()
                .map(|input| point(*input * invert(self.gamma)))
                .collect(),
        }
    }

    fn prove(&self, statement: &Statement) -> Proof<E> {
        let bytes = [statement.anchor.as_slice(), &statement.head];
        let mut rest = -self.alpha * self.beta - self.inputs[0];
        let mut random = Random(self.trapdoor.seed);
        for (value, input) in bytes
            .into_iter()
            .chain(self.trapdoor.keys_commitment.chunks(CHUNK))
            .zip(&self.inputs[1..])
        {
            rest -= *input * E::ScalarField::from_le_bytes_mod_order(value);
            random.stir(value);
        }
        let (a, b) = (
            random.scalar::<E::ScalarField>(),
            random.scalar::<E::ScalarField>(),
        );
        Proof {
            a: point(a),
            b: point(b),
            c: point((rest + a * b) * invert(self.delta)),
        }
    }
}

fn point<A: AffineRepr>(scalar: A::ScalarField) -> A {
    (A::generator() * scalar).into_affine()
}

/// Zero for zero, which isn't drawn.
fn invert<F: Field>(value: F) -> F {
    value.inverse().unwrap_or(F::ZERO)
}

#[allow(clippy::expect_used)]
fn encode(
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), ark_serialize::SerializationError>,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes).expect("a vector takes everything");
    bytes
}

/// SplitMix64: the same on every machine, and nothing here is secret.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn stir(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u64::from(*byte);
            self.0 = self.next();
        }
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn scalar<F: PrimeField>(&mut self) -> F {
        F::from_le_bytes_mod_order(&self.bytes(96))
    }
}
