//! A proof as it is kept in a file.

use nimiq_hash::{Blake2bHash, Hash, HashOutput};
use thiserror::Error;

/// What files begin with. The last byte is the version of the format.
const MAGIC: &[u8; 10] = b"pico-link\x01";

/// The longest proof that is read, in bytes. Ours have less than half of it.
const MAX_PROOF: usize = 1024;

/// The longest file, in bytes.
pub(super) const MAX_FILE: usize = MAGIC.len() + 4 + 32 + 32 + 2 * (2 + MAX_PROOF) + 32;

/// One link of the chain of proofs, perhaps not wrapped yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProof {
    /// Number of the proven election block.
    pub block_number: u32,
    /// Blake2s header hash of the election block that the proofs start from.
    pub anchor: [u8; 32],
    /// Blake2s header hash of the proven election block.
    pub head: [u8; 32],
    /// The proof that clients get.
    pub step: Vec<u8>,
    /// The proof that the next link builds on, once it is made.
    pub wrapper: Option<Vec<u8>>,
}

/// The bytes are no stored proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StoredProofError {
    /// They don't begin as they should: another kind of file, or a later format.
    #[error("it is no file with a proof")]
    Magic,
    /// There are too few, or too many.
    #[error("it is cut off or too long")]
    Length,
    /// A part of them has changed.
    #[error("it is damaged")]
    Checksum,
}

impl StoredProof {
    /// As they are written to a file: the parts in order, numbers with the highest byte first, and a
    /// Blake2b hash of it all.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.block_number.to_be_bytes());
        bytes.extend(self.anchor);
        bytes.extend(self.head);
        for proof in [Some(&self.step), self.wrapper.as_ref()] {
            let proof = proof.map(Vec::as_slice).unwrap_or_default();
            let proof = proof.get(..MAX_PROOF).unwrap_or(proof);
            bytes.extend(u16::try_from(proof.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend(proof);
        }
        let checksum: Blake2bHash = bytes.hash();
        bytes.extend(checksum.as_bytes());
        bytes
    }

    /// Reads what [`StoredProof::to_bytes`] has written.
    ///
    /// # Errors
    /// If anything about it has changed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoredProofError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(StoredProofError::Magic)?;
        let (number, rest) = rest.split_first_chunk().ok_or(StoredProofError::Length)?;
        let (anchor, rest) = rest.split_first_chunk().ok_or(StoredProofError::Length)?;
        let (head, rest) = rest.split_first_chunk().ok_or(StoredProofError::Length)?;
        let (step, rest) = proof(rest)?;
        let (wrapper, checksum) = proof(rest)?;
        if checksum.len() != Blake2bHash::SIZE || step.is_empty() {
            return Err(StoredProofError::Length);
        }
        let covered = bytes.get(..bytes.len() - checksum.len());
        let expected: Blake2bHash = covered.unwrap_or_default().hash();
        if expected.as_bytes() != checksum {
            return Err(StoredProofError::Checksum);
        }
        Ok(Self {
            block_number: u32::from_be_bytes(*number),
            anchor: *anchor,
            head: *head,
            step: step.to_vec(),
            wrapper: (!wrapper.is_empty()).then(|| wrapper.to_vec()),
        })
    }
}

/// Splits off a proof with its length before it.
fn proof(bytes: &[u8]) -> Result<(&[u8], &[u8]), StoredProofError> {
    let (length, rest) = bytes.split_first_chunk().ok_or(StoredProofError::Length)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length > MAX_PROOF {
        return Err(StoredProofError::Length);
    }
    rest.split_at_checked(length)
        .ok_or(StoredProofError::Length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        for wrapper in [None, Some(vec![4; 475])] {
            let proof = StoredProof {
                block_number: 456,
                anchor: [1; 32],
                head: [2; 32],
                step: vec![3; 380],
                wrapper,
            };
            let bytes = proof.to_bytes();
            assert!(bytes.len() <= MAX_FILE);
            assert_eq!(StoredProof::from_bytes(&bytes), Ok(proof));
            for length in 0..bytes.len() {
                StoredProof::from_bytes(&bytes[..length]).unwrap_err();
            }
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                StoredProof::from_bytes(&changed).unwrap_err();
            }
            let longer = [bytes.as_slice(), &[0]].concat();
            assert_eq!(
                StoredProof::from_bytes(&longer),
                Err(StoredProofError::Length)
            );
        }
    }
}
