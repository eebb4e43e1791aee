//! Groth16.

use thiserror::Error;

use crate::curve::{Affine, Curve, Element};
use crate::field::BYTES;
use crate::pairing::Lines;

/// Bytes of a public input that are given as bytes: as many as fit into an element of the field.
pub(crate) const CHUNK: usize = BYTES - 1;

/// What a proof says: from the anchor to the head there is a chain of election blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The Blake2s hash of the anchor's header.
    pub anchor: [u8; 32],
    /// The Blake2s hash of the head's header.
    pub head: [u8; 32],
}

/// Why a proof is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ProofError {
    /// A wrong length for the kind of key.
    #[error("proof has a wrong length")]
    Length,
    /// A point isn't one, isn't in its group, or is at infinity.
    #[error("proof has an invalid point")]
    Point,
    /// It doesn't prove the statement.
    #[error("proof does not hold")]
    Invalid,
}

/// A key that proofs can be verified with, half a megabyte large.
pub struct PreparedVerifyingKey {
    curve: Curve,
    /// The points of the public inputs: that of the constants, of the anchor and of the head.
    inputs: [Affine; 3],
    gamma: Lines,
    delta: Lines,
    /// The pairing of -alpha and beta, before its final exponentiation.
    alpha_beta: Element,
}

impl PreparedVerifyingKey {
    /// `bytes` are a key, with the commitment that is its constant public input after it. `None` if a point is invalid.
    pub(crate) fn new(k: usize, mut bytes: &[u8]) -> Option<Self> {
        let curve = Curve::new(k);
        let bytes = &mut bytes;
        let alpha = curve.decode(&curve.g1, bytes, false)?;
        let mut lines = || curve.lines(&curve.decode(&curve.g2, bytes, false)?);
        let (beta, gamma, delta) = (lines()?, lines()?, lines()?);
        let (count, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        // One more than there are inputs, of which the constant is 1 for MNT4 and 3 for MNT6: as it happens, k points.
        if u64::from_le_bytes(*count) != k as u64 {
            return None;
        }
        let mut points = Vec::new();
        for _ in 0..k {
            points.push(curve.decode(&curve.g1, bytes, false)?);
        }
        let [first, anchor, head, constants @ ..] = points.as_slice() else {
            return None;
        };
        let constants: Vec<_> = constants.iter().zip(bytes.chunks(CHUNK)).collect();
        let inputs = [curve.combine(first, &constants)?, *anchor, *head];
        let alpha_beta = curve.miller_loop(&[(&curve.negate(&alpha), &beta)]);
        Some(Self {
            inputs,
            gamma,
            delta,
            alpha_beta,
            curve,
        })
    }

    /// That `proof`, in arkworks' compressed encoding, proves `statement`.
    pub fn verify(&self, statement: &Statement, mut proof: &[u8]) -> Result<(), ProofError> {
        let curve = &self.curve;
        if proof.len() != (2 + curve.k / 2) * BYTES {
            return Err(ProofError::Length);
        }
        let (a, b, c) = self.decode(&mut proof).ok_or(ProofError::Point)?;
        let [constants, anchor, head] = &self.inputs;
        let inputs = curve
            .combine(
                constants,
                &[(anchor, &statement.anchor), (head, &statement.head)],
            )
            .ok_or(ProofError::Invalid)?;
        let product = curve.miller_loop(&[
            (&a, &b),
            (&curve.negate(&inputs), &self.gamma),
            (&curve.negate(&c), &self.delta),
        ]);
        let product = curve.mul(curve.k, &product, &self.alpha_beta);
        if curve.is_one(&product) {
            Ok(())
        } else {
            Err(ProofError::Invalid)
        }
    }

    fn decode(&self, proof: &mut &[u8]) -> Option<(Affine, Lines, Affine)> {
        let curve = &self.curve;
        let a = curve.decode(&curve.g1, proof, true)?;
        let b = curve.decode(&curve.g2, proof, true)?;
        let c = curve.decode(&curve.g1, proof, true)?;
        Some((a, curve.lines(&b)?, c))
    }
}
