//! Derivation paths: which key of the many that a seed has.

use std::str::FromStr;

use crate::WalletError;

/// A key's place in the tree below a seed, as in `m/44'/242'/0'/0'`.
///
/// Ed25519 has hardened derivation only, so each index is written with its mark.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Path(Vec<u32>);

impl Path {
    /// The first account of a Nimiq wallet: purpose 44 (BIP-44), coin 242 (NIM, SLIP-44), account 0, address 0.
    pub const DEFAULT: &'static str = "m/44'/242'/0'/0'";
    /// How deep the tree is: BIP-32 keeps the depth in a byte.
    pub const MAX_DEPTH: usize = 255;
    /// The first index that is not below 2^31: BIP-32 uses that bit as the mark.
    const HARDENED: u32 = 1 << 31;

    /// The indices from the seed downwards, without their mark.
    pub fn indices(&self) -> &[u32] {
        &self.0
    }
}

impl FromStr for Path {
    type Err = WalletError;

    fn from_str(text: &str) -> Result<Self, WalletError> {
        let mut segments = text.split('/');
        if segments.next() != Some("m") {
            return Err(WalletError::Path);
        }
        let indices: Vec<u32> = segments
            .take(Self::MAX_DEPTH + 1)
            .map(index)
            .collect::<Result<_, _>>()?;
        if indices.len() > Self::MAX_DEPTH {
            return Err(WalletError::Path);
        }
        Ok(Self(indices))
    }
}

fn index(segment: &str) -> Result<u32, WalletError> {
    segment
        .strip_suffix('\'')
        // `parse` would take a sign.
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .filter(|index| *index < Path::HARDENED)
        .ok_or(WalletError::Path)
}
