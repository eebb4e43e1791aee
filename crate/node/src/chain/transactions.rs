//! Transactions to put into blocks, of the kinds a client may be asked about.
//!
//! They are made by `nimiq-transaction-builder` and signed, so any node accepts them. Whether the
//! chain can carry them out is another matter: see [`Payer::failing`].

use nimiq_keys::{Address, KeyPair, SecureGenerate};
use nimiq_primitives::coin::Coin;
use nimiq_transaction::Transaction;
use nimiq_transaction_builder::TransactionBuilder;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::{ChainError, NETWORK_ID, ValidatorKeys};

/// The fee of transactions that have one. Only those that fail need it.
const FAILING_FEE: u64 = 1;

/// A basic account, with the key to send from it.
///
/// Every transaction it makes is valid from block `height` + 1 on, for as many blocks as the
/// validity window has. Two with the same arguments are the same transaction, which a chain accepts
/// only once.
#[derive(Clone, Debug)]
pub struct Payer {
    key_pair: KeyPair,
    address: Address,
}

impl Payer {
    /// The account of that key.
    pub fn new(key_pair: KeyPair) -> Self {
        let address = Address::from(&key_pair.public);
        Self { key_pair, address }
    }

    /// The account that the genesis block of `unit-albatross` gives 10 million NIM. The validator's
    /// rewards go to the same one.
    pub fn funded() -> Self {
        Self::new(ValidatorKeys::unit_albatross().fee)
    }

    /// An account that is the same for the same number each time, and owns nothing at first.
    pub fn numbered(number: u64) -> Self {
        Self::new(KeyPair::generate(&mut ChaCha20Rng::seed_from_u64(number)))
    }

    /// The account's address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What its transactions are signed with.
    pub fn key_pair(&self) -> &KeyPair {
        &self.key_pair
    }

    /// Sends coins: a basic transaction.
    ///
    /// # Errors
    /// If the value is 0.
    pub fn pay(
        &self,
        recipient: &Address,
        value: Coin,
        height: u32,
    ) -> Result<Transaction, ChainError> {
        Ok(TransactionBuilder::new_basic(
            &self.key_pair,
            recipient.clone(),
            value,
            Coin::ZERO,
            height,
            NETWORK_ID,
        )?)
    }

    /// Sends coins with a message: an extended transaction.
    ///
    /// # Errors
    /// If the value is 0.
    pub fn pay_with_message(
        &self,
        recipient: &Address,
        value: Coin,
        message: &[u8],
        height: u32,
    ) -> Result<Transaction, ChainError> {
        Ok(TransactionBuilder::new_basic_with_data(
            &self.key_pair,
            recipient.clone(),
            message.to_vec(),
            value,
            Coin::ZERO,
            height,
            NETWORK_ID,
        )?)
    }

    /// Stakes coins for the validator of `unit-albatross`, as a new staker with this account's
    /// address.
    ///
    /// # Errors
    /// If the value is 0.
    pub fn stake(&self, value: Coin, height: u32) -> Result<Transaction, ChainError> {
        Ok(TransactionBuilder::new_create_staker(
            &self.key_pair,
            &self.key_pair,
            Some(ValidatorKeys::unit_albatross().address),
            value,
            Coin::ZERO,
            height,
            NETWORK_ID,
        )?)
    }

    /// A transaction that gets into a block, is not carried out, and pays its fee of 1 Luna: it
    /// adds stake to a staker that doesn't exist.
    ///
    /// # Errors
    /// If the value is 0.
    pub fn failing(
        &self,
        nobody: &Address,
        value: Coin,
        height: u32,
    ) -> Result<Transaction, ChainError> {
        Ok(TransactionBuilder::new_add_stake(
            &self.key_pair,
            nobody.clone(),
            value,
            Coin::from_u64_unchecked(FAILING_FEE),
            height,
            NETWORK_ID,
        )?)
    }
}
