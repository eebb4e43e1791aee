//! Mnemonics of BIP-39: a wallet's secret in English words.

use std::{fmt, str::FromStr};

use nimiq_hash::{HashOutput, Hasher, Sha256Hasher, pbkdf2::compute_pbkdf2_sha512};
use nimiq_mnemonic::{Entropy, MnemonicType, WORDLIST_EN};
use zeroize::{Zeroize, Zeroizing};

use crate::{WalletError, random::random};

/// Bits that one word stands for: its index in a list of 2^11.
const WORD_BITS: usize = 11;
/// Entropy of the longest mnemonic, 24 words, in bytes.
const MAX_ENTROPY: usize = 32;
/// Rounds of PBKDF2 with HMAC-SHA512, and bytes of the seed (BIP-39).
const SEED_ROUNDS: usize = 2048;
const SEED_SIZE: usize = 64;

/// 12, 15, 18, 21 or 24 words, the last of which checks the others.
///
/// Kept as the words' indices, so that no copy of the words is left anywhere. Wiped when dropped.
pub struct Mnemonic {
    indices: Zeroizing<Vec<u16>>,
}

impl Mnemonic {
    /// A new one of 24 words, from secure random numbers.
    pub fn generate() -> Result<Self, WalletError> {
        loop {
            let mut entropy = Entropy::from(*random::<MAX_ENTROPY>()?);
            // One in 256 would also pass for a mnemonic of before BIP-39, and a wallet that knows both kinds would
            // have to ask which is meant.
            let ambiguous = entropy.is_colliding_checksum();
            let mnemonic = Self::from_entropy(&entropy);
            entropy.as_mut().zeroize();
            if !ambiguous {
                return mnemonic;
            }
        }
    }

    /// The mnemonic of 24 words that stands for `entropy`.
    pub fn from_entropy(entropy: &Entropy) -> Result<Self, WalletError> {
        let mut words = entropy.to_mnemonic(WORDLIST_EN).as_words();
        let mnemonic = Self::from_words(words.iter().map(String::as_str));
        words.zeroize();
        mnemonic
    }

    /// The words, in order.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.indices
            .iter()
            .filter_map(|index| WORDLIST_EN.get(usize::from(*index)).copied())
    }

    /// The 64 bytes that keys are derived from. Another `password` gives another wallet; without one, it is empty.
    /// Takes tens of milliseconds in a browser.
    ///
    /// The password is to be in Unicode's normal form NFKD: browsers can do that, and its tables are as large as all
    /// the rest here. The words are ASCII.
    pub fn to_seed(&self, password: &str) -> Result<Zeroizing<Vec<u8>>, WalletError> {
        let words = Zeroizing::new(self.words().collect::<Vec<_>>().join(" "));
        let salt = Zeroizing::new(["mnemonic", password].concat());
        compute_pbkdf2_sha512(words.as_bytes(), salt.as_bytes(), SEED_ROUNDS, SEED_SIZE)
            .map(Zeroizing::new)
            .map_err(|_| WalletError::Seed)
    }

    fn from_words<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, WalletError> {
        let mut indices = Zeroizing::new(Vec::with_capacity(MAX_ENTROPY));
        for (position, word) in words.enumerate() {
            let index = WORDLIST_EN
                .binary_search_by(|entry| {
                    entry
                        .bytes()
                        .cmp(word.bytes().map(|c| c.to_ascii_lowercase()))
                })
                .map_err(|_| WalletError::UnknownWord(position + 1))?;
            indices.push(index as u16);
        }
        let mnemonic = Self { indices };
        if mnemonic.has_checksum() {
            Ok(mnemonic)
        } else if mnemonic.is_legacy() {
            Err(WalletError::LegacyMnemonic)
        } else {
            Err(WalletError::MnemonicChecksum)
        }
    }

    /// Whether the bits after the entropy, one for each 32 of it, are the first of its SHA-256.
    fn has_checksum(&self) -> bool {
        let mut bytes = Zeroizing::new([0; MAX_ENTROPY + 1]);
        for (word, index) in self.indices.iter().enumerate() {
            for bit in 0..WORD_BITS {
                let at = word * WORD_BITS + bit;
                let value = (index >> (WORD_BITS - 1 - bit)) as u8 & 1;
                bytes[at / 8] |= value << (7 - at % 8);
            }
        }
        let bits = self.indices.len() * WORD_BITS;
        let checksum_bits = bits / 33;
        let (entropy, checksum) = bytes.split_at(bits / 33 * 4);
        let hash = Sha256Hasher::default().digest(entropy);
        let unused = 8 - checksum_bits;
        checksum[0] >> unused == hash.as_bytes()[0] >> unused
    }

    fn is_legacy(&self) -> bool {
        let words = self.words().map(String::from).collect();
        nimiq_mnemonic::Mnemonic::from_words_unchecked(words).get_type(WORDLIST_EN)
            == MnemonicType::LEGACY
    }
}

impl FromStr for Mnemonic {
    type Err = WalletError;

    /// Reads words that any white space parts, in either case.
    fn from_str(text: &str) -> Result<Self, WalletError> {
        let count = text.split_whitespace().count();
        if !(12..=24).contains(&count) || !count.is_multiple_of(3) {
            return Err(WalletError::WordCount(count));
        }
        Self::from_words(text.split_whitespace())
    }
}

impl fmt::Debug for Mnemonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mnemonic")
    }
}
