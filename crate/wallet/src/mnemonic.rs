//! Mnemonics of BIP-39: a wallet's secret in English words.

use std::{fmt, str::FromStr};

use nimiq_hash::{HashOutput, Hasher, Sha256Hasher, pbkdf2::compute_pbkdf2_sha512};
use nimiq_mnemonic::{MnemonicType, WORDLIST_EN};
use zeroize::Zeroizing;

use crate::{WalletError, random::random};

/// Bits that one word stands for: its index in a list of 2^11.
const WORD_BITS: usize = 11;
/// Entropy of the longest mnemonic, 24 words, in bytes.
const MAX_ENTROPY: usize = 32;
/// Words of a mnemonic of before BIP-39.
const LEGACY_WORDS: usize = 24;
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
    /// A new one of so many words, from secure random numbers.
    pub fn generate(words: usize) -> Result<Self, WalletError> {
        if !is_word_count(words) {
            return Err(WalletError::WordCount(words));
        }
        loop {
            let random = random::<MAX_ENTROPY>()?;
            let mnemonic = Self::from_entropy(&random[..words / 3 * 4])?;
            // One of 24 words in 256 would also pass for a mnemonic of before BIP-39, and a wallet that knows both
            // kinds would have to ask which is meant.
            if mnemonic.kind() == MnemonicType::BIP39 {
                return Ok(mnemonic);
            }
        }
    }

    /// The mnemonic that stands for `entropy`: 16, 20, 24, 28 or 32 bytes, three words for four of them.
    pub fn from_entropy(entropy: &[u8]) -> Result<Self, WalletError> {
        let count = entropy.len() / 4 * 3;
        if !entropy.len().is_multiple_of(4) || !is_word_count(count) {
            return Err(WalletError::WordCount(count));
        }
        let mut bytes = Zeroizing::new([0; MAX_ENTROPY + 1]);
        bytes[..entropy.len()].copy_from_slice(entropy);
        bytes[entropy.len()] = Sha256Hasher::default().digest(entropy).as_bytes()[0];
        let bit = |at: usize| u16::from(bytes[at / 8] >> (7 - at % 8) & 1);
        let mut indices = Zeroizing::new(Vec::with_capacity(count));
        for word in 0..count {
            let from = word * WORD_BITS;
            indices.push((from..from + WORD_BITS).fold(0, |index, at| index << 1 | bit(at)));
        }
        Ok(Self { indices })
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
        } else if mnemonic.kind() == MnemonicType::LEGACY {
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

    /// What a wallet that also knows the mnemonics of before BIP-39 takes it for. Those all had 24 words, and upstream's
    /// code panics on fewer.
    fn kind(&self) -> MnemonicType {
        if self.indices.len() != LEGACY_WORDS {
            return if self.has_checksum() {
                MnemonicType::BIP39
            } else {
                MnemonicType::INVALID
            };
        }
        let words = self.words().map(String::from).collect();
        nimiq_mnemonic::Mnemonic::from_words_unchecked(words).get_type(WORDLIST_EN)
    }
}

impl FromStr for Mnemonic {
    type Err = WalletError;

    /// Reads words that any white space parts, in either case.
    fn from_str(text: &str) -> Result<Self, WalletError> {
        let count = text.split_whitespace().count();
        if !is_word_count(count) {
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

/// Whether mnemonics of so many words exist.
fn is_word_count(count: usize) -> bool {
    (12..=24).contains(&count) && count.is_multiple_of(3)
}
