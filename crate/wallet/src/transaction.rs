//! Signed transactions: payments, and the life of a stake.
//!
//! Each is the serialised transaction as nodes take it. What every node would refuse whatever the state of the chain
//! is refused here, with a reason.

use nimiq_keys::Address;
use nimiq_primitives::{coin::Coin, networks::NetworkId, policy::Policy};
use nimiq_serde::Serialize;
use nimiq_transaction::Transaction;
use nimiq_transaction_builder::{TransactionBuilder, TransactionBuilderError};

use crate::{KeyPair, WalletError};

/// What every transaction says. Amounts are in Luna.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    fee: Coin,
    validity_start_height: u32,
    network: NetworkId,
}

impl Terms {
    /// `network` is a name as in the public API. Nodes take the transaction from a batch before block
    /// `validity_start_height` until its validity window after it.
    pub fn new(fee: u64, validity_start_height: u32, network: &str) -> Result<Self, WalletError> {
        let network = match network {
            "main-albatross" => NetworkId::MainAlbatross,
            "test-albatross" => NetworkId::TestAlbatross,
            "dev-albatross" => NetworkId::DevAlbatross,
            "unit-albatross" => NetworkId::UnitAlbatross,
            _ => return Err(WalletError::Network),
        };
        Ok(Self {
            fee: coin(fee)?,
            validity_start_height,
            network,
        })
    }

    /// The value, if a transaction can move it under these terms.
    fn value(&self, value: u64) -> Result<Coin, WalletError> {
        let value = coin(value)?;
        if value.is_zero() {
            return Err(WalletError::ZeroValue);
        }
        coin(u64::from(value) + u64::from(self.fee))?;
        Ok(value)
    }
}

/// An amount that can exist.
fn coin(luna: u64) -> Result<Coin, WalletError> {
    if luna > Policy::TOTAL_SUPPLY {
        return Err(WalletError::Amount);
    }
    Coin::try_from(luna).map_err(|_| WalletError::Amount)
}

/// A payment, with as much of a message as a transaction holds: 64 bytes.
pub fn payment(
    key_pair: &KeyPair,
    recipient: Address,
    value: u64,
    message: &[u8],
    terms: &Terms,
) -> Result<Vec<u8>, WalletError> {
    let value = terms.value(value)?;
    if message.len() > Policy::MAX_BASIC_TX_RECIPIENT_DATA_SIZE {
        return Err(WalletError::MessageLength(message.len()));
    }
    if recipient == key_pair.address() {
        return Err(WalletError::OwnAddress);
    }
    if recipient == Policy::STAKING_CONTRACT_ADDRESS {
        return Err(WalletError::StakingContract);
    }
    signed(TransactionBuilder::new_basic_with_data(
        key_pair.inner(),
        recipient,
        message.to_vec(),
        value,
        terms.fee,
        terms.validity_start_height,
        terms.network,
    ))
}

/// Makes the account a staker, with its stake on the validator `delegation`.
pub fn create_staker(
    key_pair: &KeyPair,
    delegation: Address,
    value: u64,
    terms: &Terms,
) -> Result<Vec<u8>, WalletError> {
    let value = terms.value(value)?;
    if u64::from(value) < Policy::MINIMUM_STAKE {
        return Err(WalletError::MinimumStake);
    }
    let pair = key_pair.inner();
    signed(TransactionBuilder::new_create_staker(
        pair,
        pair,
        Some(delegation),
        value,
        terms.fee,
        terms.validity_start_height,
        terms.network,
    ))
}

/// Adds to the account's stake.
pub fn add_stake(key_pair: &KeyPair, value: u64, terms: &Terms) -> Result<Vec<u8>, WalletError> {
    signed(TransactionBuilder::new_add_stake(
        key_pair.inner(),
        key_pair.address(),
        terms.value(value)?,
        terms.fee,
        terms.validity_start_height,
        terms.network,
    ))
}

/// Puts the stake on another validator, or on none.
pub fn update_staker(
    key_pair: &KeyPair,
    delegation: Option<Address>,
    reactivate_all_stake: bool,
    terms: &Terms,
) -> Result<Vec<u8>, WalletError> {
    signed(TransactionBuilder::new_update_staker(
        None,
        key_pair.inner(),
        delegation,
        reactivate_all_stake,
        terms.fee,
        terms.validity_start_height,
        terms.network,
    ))
}

/// Makes `active` of the stake active and the rest inactive: the first step out of it.
pub fn set_active_stake(
    key_pair: &KeyPair,
    active: u64,
    terms: &Terms,
) -> Result<Vec<u8>, WalletError> {
    signed(TransactionBuilder::new_set_active_stake(
        None,
        key_pair.inner(),
        coin(active)?,
        terms.fee,
        terms.validity_start_height,
        terms.network,
    ))
}

/// Retires inactive stake, for good: the second step out of it.
pub fn retire_stake(key_pair: &KeyPair, value: u64, terms: &Terms) -> Result<Vec<u8>, WalletError> {
    signed(TransactionBuilder::new_retire_stake(
        None,
        key_pair.inner(),
        terms.value(value)?,
        terms.fee,
        terms.validity_start_height,
        terms.network,
    ))
}

/// Pays retired stake out to the account: the last step out of it. The fee comes from the stake, too.
pub fn remove_stake(key_pair: &KeyPair, value: u64, terms: &Terms) -> Result<Vec<u8>, WalletError> {
    signed(TransactionBuilder::new_remove_stake(
        key_pair.inner(),
        key_pair.address(),
        terms.value(value)?,
        terms.fee,
        terms.validity_start_height,
        terms.network,
    ))
}

/// As nodes take it. The builder refuses only values that have been checked by then.
fn signed(
    transaction: Result<Transaction, TransactionBuilderError>,
) -> Result<Vec<u8>, WalletError> {
    let transaction = transaction.map_err(|_| WalletError::ZeroValue)?;
    Ok(transaction.serialize_to_vec())
}
