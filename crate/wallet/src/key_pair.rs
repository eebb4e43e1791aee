//! Key pairs: what signs for an account.

use std::fmt;

use nimiq_key_derivation::ExtendedPrivateKey;
use nimiq_keys::{Address, Ed25519PublicKey, Ed25519Signature, PrivateKey};
use zeroize::{Zeroize, Zeroizing};

use crate::{Mnemonic, Path, WalletError, random::random};

/// An Ed25519 key pair, and with it an account. Wiped when dropped.
pub struct KeyPair(nimiq_keys::KeyPair);

impl KeyPair {
    /// A new one, from secure random numbers.
    pub fn generate() -> Result<Self, WalletError> {
        Ok(Self::from_bytes(&*random()?))
    }

    /// The key pair of a private key in 32 bytes.
    pub fn from_private_key(bytes: &[u8]) -> Result<Self, WalletError> {
        let bytes = bytes.try_into().map_err(|_| WalletError::PrivateKey)?;
        Ok(Self::from_bytes(bytes))
    }

    /// The key pair of a private key in 64 hexadecimal digits.
    pub fn from_private_key_hex(text: &str) -> Result<Self, WalletError> {
        let mut bytes = Zeroizing::new([0; PrivateKey::SIZE]);
        hex::decode_to_slice(text, &mut *bytes).map_err(|_| WalletError::PrivateKey)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// The key pair at `path` below the seed of `mnemonic` and `password`.
    pub fn from_mnemonic(
        mnemonic: &Mnemonic,
        path: &Path,
        password: &str,
    ) -> Result<Self, WalletError> {
        Self::from_seed(&mnemonic.to_seed(password)?, path)
    }

    /// The key pair at `path` below `seed` (SLIP-10).
    pub fn from_seed(seed: &[u8], path: &Path) -> Result<Self, WalletError> {
        let mut key = ExtendedPrivateKey::from_seed(seed.to_vec());
        for index in path.indices() {
            key = key.derive(*index).ok_or(WalletError::Path)?;
        }
        let mut private = key.into_private_key();
        let pair = Self::from_bytes(private.as_bytes());
        private.zeroize();
        Ok(pair)
    }

    fn from_bytes(bytes: &[u8; PrivateKey::SIZE]) -> Self {
        Self(nimiq_keys::KeyPair::from(PrivateKey::from(bytes)))
    }

    /// The account's address.
    pub fn address(&self) -> Address {
        Address::from(&self.0.public)
    }

    /// The public key.
    pub fn public_key(&self) -> Ed25519PublicKey {
        self.0.public
    }

    /// A copy of the private key, which wipes itself.
    pub fn private_key(&self) -> Zeroizing<[u8; PrivateKey::SIZE]> {
        Zeroizing::new(*self.0.private.as_bytes())
    }

    /// Signs the bytes as they are, without any prefix: a signature under bytes that a stranger chose may be one
    /// under a transaction.
    pub fn sign(&self, message: &[u8]) -> Ed25519Signature {
        self.0.sign(message)
    }

    /// As Nimiq's builder takes it.
    pub(crate) fn inner(&self) -> &nimiq_keys::KeyPair {
        &self.0
    }
}

/// Whether `signature`, 64 bytes, is one under `message` by the owner of `public_key`, in hexadecimal digits.
pub fn verify(public_key: &str, message: &[u8], signature: &[u8]) -> Result<bool, WalletError> {
    let mut bytes = [0; Ed25519PublicKey::SIZE];
    hex::decode_to_slice(public_key, &mut bytes).map_err(|_| WalletError::PublicKey)?;
    let signature = Ed25519Signature::from_bytes(signature).map_err(|_| WalletError::Signature)?;
    Ok(Ed25519PublicKey::from(bytes).verify(&signature, message))
}

impl Drop for KeyPair {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyPair").field(&self.0.public).finish()
    }
}
