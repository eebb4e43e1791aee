//! What can be wrong with what a caller gives: a code to act on and a sentence to read.
//!
//! No sentence quotes what it is about: it may be a secret.

use thiserror::Error;

/// The codes of the public API that this crate raises.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorCode {
    /// An argument is malformed.
    InvalidOptions,
    /// What should be an address is none.
    InvalidAddress,
    /// A transaction that every node would refuse.
    InvalidTransaction,
    /// This context lacks something.
    Unsupported,
}

impl ErrorCode {
    /// The code in the public API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidOptions => "invalid-options",
            Self::InvalidAddress => "invalid-address",
            Self::InvalidTransaction => "invalid-transaction",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Why something can't be done.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum WalletError {
    /// So many words make no mnemonic.
    #[error("A mnemonic has 12, 15, 18, 21 or 24 words, not {0}.")]
    WordCount(usize),
    /// The word at this position, from 1.
    #[error("Word {0} of the mnemonic is not in the English list of BIP-39.")]
    UnknownWord(usize),
    /// The words are all known, but do not belong together.
    #[error("The mnemonic's checksum is wrong: a word is not the right one, or not in its place.")]
    MnemonicChecksum,
    /// The words stand for a private key itself, from before Nimiq used BIP-39.
    #[error("This is a mnemonic of a legacy Nimiq account, which BIP-39 can't derive keys from.")]
    LegacyMnemonic,
    /// PBKDF2 gave nothing.
    #[error("The seed can't be derived from the mnemonic.")]
    Seed,
    /// Not of the form `m/44'/242'/0'/0'`.
    #[error(
        "A derivation path is \"m\" and at most 255 hardened indices, as in m/44'/242'/0'/0', each below 2^31."
    )]
    Path,
    /// Not 32 bytes.
    #[error("A private key is 32 bytes, or 64 hexadecimal digits.")]
    PrivateKey,
    /// Not 32 bytes in hexadecimal digits.
    #[error("A public key is 64 hexadecimal digits.")]
    PublicKey,
    /// Not 64 bytes.
    #[error("A signature is 64 bytes.")]
    Signature,
    /// A network that this crate makes no transactions for.
    #[error(
        "The network is none of main-albatross, test-albatross, dev-albatross, unit-albatross."
    )]
    Network,
    /// The system gives no random bytes.
    #[error("This context has no source of secure random numbers (crypto.getRandomValues).")]
    NoRandomness,
    /// Neither form of an address.
    #[error("An address is NQ and 34 letters and digits (NQ07 0000 …), or 40 hexadecimal digits.")]
    Address,
    /// The form is right, the check digits are not.
    #[error("The address's check digits don't fit: something in it is mistyped.")]
    AddressChecksum,
    /// Only transactions that signal move nothing.
    #[error("The value is 0: a transaction moves at least 1 Luna.")]
    ZeroValue,
    /// More than there is.
    #[error("Value and fee together are more than all NIM there can be, 2100000000000000 Luna.")]
    Amount,
    /// So many bytes of UTF-8.
    #[error("The message takes {0} bytes in UTF-8; a transaction holds at most 64.")]
    MessageLength(usize),
    /// Nodes refuse payments to oneself.
    #[error("The recipient is the sender itself.")]
    OwnAddress,
    /// A plain payment to a contract fails, and costs its fee.
    #[error("The recipient is the staking contract, which takes stake but no payments.")]
    StakingContract,
    /// Less than the contract takes from a new staker.
    #[error("A new staker stakes at least 10000000 Luna (100 NIM).")]
    MinimumStake,
}

impl WalletError {
    /// What kind of error it is.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::WordCount(_)
            | Self::UnknownWord(_)
            | Self::MnemonicChecksum
            | Self::LegacyMnemonic
            | Self::Path
            | Self::PrivateKey
            | Self::PublicKey
            | Self::Signature
            | Self::Network => ErrorCode::InvalidOptions,
            Self::NoRandomness | Self::Seed => ErrorCode::Unsupported,
            Self::Address | Self::AddressChecksum => ErrorCode::InvalidAddress,
            Self::ZeroValue
            | Self::Amount
            | Self::MessageLength(_)
            | Self::OwnAddress
            | Self::StakingContract
            | Self::MinimumStake => ErrorCode::InvalidTransaction,
        }
    }
}
