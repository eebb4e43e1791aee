//! Two election blocks whose validators' secrets are known, so that everything about them can be changed and
//! signed again.

use ark_ec::{AffineRepr, CurveGroup};
use ark_groth16::{Proof, VerifyingKey};
use ark_mnt6_753::{Fr, G1Affine, G1Projective, G2Affine, MNT6_753};
use ark_std::{
    UniformRand,
    rand::{SeedableRng, rngs::StdRng},
};
use nimiq_block::{MacroBlock, MacroHeader, MultiSignature, TendermintProof};
use nimiq_bls::{AggregateSignature, PublicKey, SecretKey, Signature};
use nimiq_hash::{Blake2sHash, Hash};
use nimiq_primitives::{
    TendermintIdentifier, TendermintStep, TendermintVote,
    networks::NetworkId,
    slots_allocation::{Validator, Validators},
};

use super::PARAMETERS;
use crate::prover::{
    Inputs,
    commitment::commit,
    keys::{some_key, some_proof},
    step::StepCircuit,
    witness::LinkWitness,
};

pub(super) const ROUND: u32 = 3;

/// See the module's documentation.
pub(super) struct Scene {
    pub(super) secrets: Vec<Fr>,
    pub(super) previous: MacroBlock,
    pub(super) next: MacroBlock,
}

impl Scene {
    /// Validators with so many slots each.
    pub(super) fn new(slots: &[u16]) -> Self {
        let mut rng = StdRng::seed_from_u64(42);
        let secrets: Vec<_> = slots.iter().map(|_| Fr::rand(&mut rng)).collect();
        let mut end = 0;
        let validators = slots
            .iter()
            .zip(&secrets)
            .map(|(slots, secret)| {
                let start = end;
                end += slots;
                let key = PublicKey::from_secret(&SecretKey {
                    secret_key: *secret,
                });
                Validator::new(
                    [start as u8; 20].into(),
                    key.compress(),
                    nimiq_keys::Ed25519PublicKey::default(),
                    start..end,
                )
            })
            .collect();
        let header = |number, marker: u8| MacroHeader {
            network: NetworkId::UnitAlbatross,
            version: 2,
            block_number: number,
            timestamp: 1_700_000_000_000 + u64::from(number),
            parent_hash: [marker; 32].into(),
            interlink: Some(Vec::new()),
            validators: Some(Validators::new(validators_of(marker))),
            ..MacroHeader::default()
        };
        let block = |header| MacroBlock {
            header,
            body: None,
            justification: None,
        };
        let mut previous = block(header(328, 1));
        previous.header.validators = Some(Validators::new(validators));
        Self {
            secrets,
            previous,
            next: block(header(456, 2)),
        }
    }

    /// The signature of so many slots of each validator, for whatever the next block is now.
    pub(super) fn sign(&self, weights: &[u16]) -> G1Affine {
        self.sign_with(weights.iter().map(|weight| Fr::from(*weight)))
    }

    pub(super) fn sign_with(&self, weights: impl IntoIterator<Item = Fr>) -> G1Affine {
        let key: Fr = weights
            .into_iter()
            .zip(&self.secrets)
            .map(|(w, s)| w * s)
            .sum();
        (self.point() * key).into_affine()
    }

    fn point(&self) -> G1Projective {
        let vote = TendermintVote {
            proposal_hash: Some(self.next.hash_blake2s()),
            id: TendermintIdentifier {
                network: self.next.network(),
                block_number: self.next.block_number(),
                round_number: ROUND,
                step: TendermintStep::PreCommit,
            },
        };
        Signature::hash_to_g1(vote.hash::<Blake2sHash>())
    }

    /// Signs with the first so many slots of each validator.
    pub(super) fn justify(&mut self, weights: &[u16]) {
        let validators = self.previous.header.validators.as_ref().unwrap();
        let signers = validators
            .iter()
            .zip(weights)
            .flat_map(|(validator, weight)| validator.slots.clone().take(usize::from(*weight)))
            .map(usize::from)
            .collect();
        let signature = Signature::from(G1Projective::from(self.sign(weights)));
        let sig = MultiSignature::new(AggregateSignature::from_signatures(&[signature]), signers);
        self.next.justification = Some(TendermintProof { round: ROUND, sig });
    }

    /// The circuit for this link, as the first after the anchor. All that is wrong with it is up to who
    /// changes it.
    pub(super) fn step(&self) -> StepCircuit {
        let wrapper_key: VerifyingKey<MNT6_753> = some_key();
        let wrapper_proof: Proof<MNT6_753> = some_proof();
        StepCircuit {
            parameters: PARAMETERS,
            inputs: Inputs {
                anchor: self.previous.hash_blake2s().into(),
                head: self.next.hash_blake2s().into(),
                keys: commit(&wrapper_key),
            },
            link: LinkWitness::new(&PARAMETERS, &self.previous, &self.next).unwrap(),
            wrapper_key,
            wrapper_proof,
        }
    }
}

/// Some validator set of one.
fn validators_of(marker: u8) -> Vec<Validator> {
    let key = PublicKey::new(G2Affine::generator().into());
    let signing_key = nimiq_keys::Ed25519PublicKey::default();
    vec![Validator::new(
        [marker; 20].into(),
        key.compress(),
        signing_key,
        0..512,
    )]
}
