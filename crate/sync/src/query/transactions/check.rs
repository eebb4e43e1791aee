//! What can be said of a transaction before it is sent: everything that a node would refuse it for
//! but for the state of accounts. A transaction that fails here costs nobody anything, and its
//! sender learns why, which no node would tell.

use nimiq_primitives::{networks::NetworkId, policy::Policy, transaction::TransactionError};
use nimiq_serde::Deserialize;
use nimiq_transaction::Transaction;

use crate::{limits, query::QueryError};

fn invalid(why: impl Into<String>) -> QueryError {
    QueryError::InvalidTransaction(why.into())
}

/// Reads a serialised transaction.
pub(super) fn decode(raw: &[u8]) -> Result<Transaction, QueryError> {
    if raw.len() > limits::MAX_TRANSACTION_BYTES {
        return Err(invalid("these are more bytes than a transaction has"));
    }
    Transaction::deserialize_all(raw).map_err(|_| invalid("these bytes are no transaction"))
}

/// Checks everything but whether the accounts allow it, as of a head: its number and the protocol
/// version of its block.
pub(super) fn check(
    transaction: &Transaction,
    network: NetworkId,
    head: u32,
    version: u16,
) -> Result<(), QueryError> {
    check_window(transaction, head)?;
    transaction
        .verify(network, version)
        .map_err(|error| invalid(reason(&error)))
}

/// Whether the transaction may be in a block that comes after `head`.
fn check_window(transaction: &Transaction, head: u32) -> Result<(), QueryError> {
    let start = transaction.validity_start_height;
    if head >= last_block(transaction) {
        return Err(invalid(format!(
            "it has expired: it was valid from block {start} to {}, and the head is {head}",
            last_block(transaction)
        )));
    }
    // Nodes take it a batch early.
    let first = start.saturating_sub(Policy::blocks_per_batch());
    if head.saturating_add(1) < first {
        return Err(invalid(format!(
            "it is not valid before block {first}, and the head is {head}"
        )));
    }
    Ok(())
}

/// Number of the last block that the transaction may be in.
pub(super) fn last_block(transaction: &Transaction) -> u32 {
    transaction
        .validity_start_height
        .saturating_add(Policy::transaction_validity_window_blocks())
        .saturating_sub(1)
}

fn reason(error: &TransactionError) -> &'static str {
    match error {
        TransactionError::ForeignNetwork => "it is for another network",
        TransactionError::ZeroValue => "its value is zero",
        TransactionError::InvalidValue => "its value is not possible",
        TransactionError::Overflow => {
            "its value and fee are more than there is, or it has more data than it may have"
        }
        TransactionError::SenderEqualsRecipient => "its sender is its recipient",
        TransactionError::InvalidForSender => "its sender can't send such a transaction",
        TransactionError::InvalidProof => "its signature is not valid",
        TransactionError::InvalidForRecipient => "its recipient can't take such a transaction",
        TransactionError::InvalidForVersion => "the protocol does not allow it now",
        TransactionError::InvalidData => "its data are not valid",
        TransactionError::InvalidSerialization(_) => "its data or its proof can't be read",
    }
}
