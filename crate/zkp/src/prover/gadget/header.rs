//! Headers of election blocks of protocol version 2, as their Blake2s hash covers them.

use ark_ff::PrimeField;
use ark_r1cs_std::{boolean::Boolean, fields::fp::FpVar};
use ark_relations::gr1cs::{ConstraintSystemRef, SynthesisError};

use super::{
    bits::{constant_bytes, from_big_endian, number, witness_bytes},
    blake2s,
};
use crate::prover::{PROTOCOL_VERSION, Parameters};

/// What a header's hash covers, in bytes (`nimiq-block` 2.3.0, `MacroHeader::serialize_content`, with
/// version 2): network 1, version 2, block number 4, round 4, timestamp 8, parent 32, parent election
/// block 32, hash of the interlink 32, seed 96, hash of the extra data 32, state root 32, payload root
/// 32, history root 32, diff root 32.
pub(crate) const CONTENT_SIZE: usize = 371;

const VERSION_END: usize = 3;
const NUMBER_END: usize = 7;
const PAYLOAD_START: usize = 275;
const PAYLOAD_END: usize = 307;

/// A header, opened by its hash.
pub(crate) struct HeaderVar<F: PrimeField> {
    content: Vec<Boolean<F>>,
    hash: Vec<Boolean<F>>,
}

impl<F: PrimeField> HeaderVar<F> {
    /// Enforces that [`HeaderVar::hash`] is the Blake2s hash of a header of this network and of protocol
    /// version 2.
    pub(crate) fn new(
        cs: &ConstraintSystemRef<F>,
        parameters: &Parameters,
        content: &[u8; CONTENT_SIZE],
    ) -> Result<Self, SynthesisError> {
        let [high, low] = PROTOCOL_VERSION.to_be_bytes();
        let mut bits = constant_bytes(&[parameters.network, high, low]);
        bits.extend(witness_bytes(cs, &content[VERSION_END..])?);
        Ok(Self {
            hash: blake2s::hash(cs, &bits)?,
            content: bits,
        })
    }

    /// The Blake2s hash, 256 bits.
    pub(crate) fn hash(&self) -> &[Boolean<F>] {
        &self.hash
    }

    /// The block number, as it is in the header: 32 bits of four big-endian bytes.
    pub(crate) fn number_bytes(&self) -> &[Boolean<F>] {
        &self.content[8 * VERSION_END..8 * NUMBER_END]
    }

    /// The block number.
    pub(crate) fn number(&self) -> FpVar<F> {
        number(&from_big_endian(self.number_bytes()))
    }

    /// The root over validator set, punished set and body, 256 bits.
    pub(crate) fn payload_root(&self) -> &[Boolean<F>] {
        &self.content[8 * PAYLOAD_START..8 * PAYLOAD_END]
    }
}
