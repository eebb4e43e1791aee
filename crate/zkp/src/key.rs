//! Verifying keys, as they come with a client.

use thiserror::Error;

use crate::verify::PreparedVerifyingKey;

const MAGIC: &[u8; 8] = b"pico-zkp";

/// Why bytes are no verifying key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// They don't start as a bundle does, or are of a kind that isn't known.
    #[error("not a verifying key")]
    Unknown,
    /// A wrong length for their kind.
    #[error("verifying key has a wrong length")]
    Length,
    /// A point isn't one, isn't in its group, or is at infinity.
    #[error("verifying key has an invalid point")]
    Point,
}

/// What proofs of a network are verified with.
///
/// As bytes: `pico-zkp`, then a byte for the kind (1 v1, 2 chain), the network's id (a byte), the number of the election
/// block that proofs start from (4 bytes, big-endian), the key as arkworks writes it uncompressed, and the commitment to the keys
/// within the recursion, which is a public input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyingKey {
    /// Of the proofs that nodes of version 1 of the protocol made.
    V1(v1::VerifyingKey),
    /// Of election-chain proofs.
    Chain(chain::VerifyingKey),
}

impl VerifyingKey {
    /// Looks at the frame only, which is quick. Whether it is a key shows when it is [prepared](Self::prepare).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (head, body) = bytes.split_first_chunk::<14>().ok_or(KeyError::Unknown)?;
        let [magic @ .., kind, network, a, b, c, d] = head;
        if magic != MAGIC {
            return Err(KeyError::Unknown);
        }
        let (network, anchor_number) = (*network, u32::from_be_bytes([*a, *b, *c, *d]));
        match kind {
            1 => Ok(Self::V1(v1::VerifyingKey(Body::new(
                network,
                anchor_number,
                body,
                v1::KEY + v1::COMMITMENT,
            )?))),
            2 => Ok(Self::Chain(chain::VerifyingKey(Body::new(
                network,
                anchor_number,
                body,
                chain::KEY + chain::COMMITMENT,
            )?))),
            _ => Err(KeyError::Unknown),
        }
    }

    /// See [`VerifyingKey`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, body) = self.body();
        [
            MAGIC.as_slice(),
            &[kind, body.network],
            &body.anchor_number.to_be_bytes(),
            &body.bytes,
        ]
        .concat()
    }

    /// The id of the network whose blocks are proven.
    pub fn network(&self) -> u8 {
        self.body().1.network
    }

    /// The election block that proofs start from.
    pub fn anchor_number(&self) -> u32 {
        self.body().1.anchor_number
    }

    /// Checks the key, and calculates all that verifying a proof doesn't have to. In wasm this takes longer than verifying
    /// one, so the result is worth keeping.
    pub fn prepare(&self) -> Result<PreparedVerifyingKey, KeyError> {
        let (kind, body) = self.body();
        PreparedVerifyingKey::new(if kind == 1 { 6 } else { 4 }, &body.bytes).ok_or(KeyError::Point)
    }

    fn body(&self) -> (u8, &Body) {
        match self {
            Self::V1(key) => (1, &key.0),
            Self::Chain(key) => (2, &key.0),
        }
    }
}

/// What both kinds have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Body {
    network: u8,
    anchor_number: u32,
    bytes: Vec<u8>,
}

impl Body {
    fn new(network: u8, anchor_number: u32, bytes: &[u8], length: usize) -> Result<Self, KeyError> {
        if bytes.len() != length {
            return Err(KeyError::Length);
        }
        Ok(Self {
            network,
            anchor_number,
            bytes: bytes.to_vec(),
        })
    }
}

/// Proofs of version 1 of the protocol: Groth16 on MNT6-753.
pub mod v1 {
    use super::{Body, KeyError};

    /// Bytes of a key.
    pub(super) const KEY: usize = 3048;
    /// Bytes of the commitment to the keys within the recursion.
    pub(super) const COMMITMENT: usize = 190;

    /// See [`VerifyingKey`](super::VerifyingKey).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct VerifyingKey(pub(super) Body);

    impl VerifyingKey {
        /// `key` are the 3048 bytes of `merger_wrapper.bin`, and `keys_commitment` the 190 of `vksCommitment`.
        pub fn new(
            network: u8,
            anchor_number: u32,
            key: &[u8],
            keys_commitment: &[u8],
        ) -> Result<Self, KeyError> {
            if key.len() != KEY {
                return Err(KeyError::Length);
            }
            Body::new(
                network,
                anchor_number,
                &[key, keys_commitment].concat(),
                KEY + COMMITMENT,
            )
            .map(Self)
        }
    }
}

/// Election-chain proofs: Groth16 on MNT4-753.
pub mod chain {
    use super::{Body, KeyError};

    /// Bytes of a key with three inputs.
    pub(super) const KEY: usize = 2098;
    /// Bytes of the commitment to the wrapper's key.
    pub(super) const COMMITMENT: usize = 31;

    /// See [`VerifyingKey`](super::VerifyingKey).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct VerifyingKey(pub(super) Body);

    impl VerifyingKey {
        /// `key` are the 2098 bytes that arkworks writes uncompressed.
        pub fn new(
            network: u8,
            anchor_number: u32,
            key: &[u8],
            keys_commitment: [u8; COMMITMENT],
        ) -> Result<Self, KeyError> {
            Body::new(
                network,
                anchor_number,
                &[key, &keys_commitment].concat(),
                KEY + COMMITMENT,
            )
            .map(Self)
        }

        /// The same, from arkworks.
        #[cfg(any(feature = "prover", feature = "simulator"))]
        pub fn from_groth16(
            network: u8,
            anchor_number: u32,
            key: &ark_groth16::VerifyingKey<ark_mnt4_753::MNT4_753>,
            keys_commitment: [u8; COMMITMENT],
        ) -> Result<Self, KeyError> {
            use ark_serialize::CanonicalSerialize;

            let mut bytes = Vec::new();
            // A vector takes everything.
            key.serialize_uncompressed(&mut bytes)
                .map_err(|_| KeyError::Length)?;
            Self::new(network, anchor_number, &bytes, keys_commitment)
        }
    }
}
