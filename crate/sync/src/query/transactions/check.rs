//! What can be said of a transaction before it is sent: what a node would refuse it for but for the
//! state of accounts. A transaction that fails here costs nobody anything, and its sender learns why,
//! which no node would tell.
//!
//! `Transaction::verify` of the nodes is not used: it brings 180 kB that check WebAuthn signatures,
//! and a validator's proof of knowledge takes it over a second. So three things are left to the
//! nodes: signatures made with WebAuthn or P-256, redemptions of HTLCs, and proofs of knowledge. All
//! else is the same, which a test holds against them.

use nimiq_keys::{PublicKey, Signature};
use nimiq_primitives::{
    account::AccountType,
    coin::Coin,
    networks::NetworkId,
    policy::{Policy, upgrades},
};
use nimiq_serde::Deserialize;
use nimiq_transaction::{
    SignatureProof, Transaction, TransactionFlags,
    account::{
        htlc_contract::{
            CreationTransactionData as HtlcCreation, OutgoingHTLCTransactionProof as HtlcProof,
        },
        staking_contract::{IncomingStakingTransactionData, OutgoingStakingTransactionData},
        vesting_contract::CreationTransactionData as VestingCreation,
    },
};

use crate::{limits, query::QueryError};

#[cfg(test)]
mod tests;

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
    check_amounts(transaction, network)
        .and_then(|()| check_sender(transaction))
        .and_then(|()| check_recipient(transaction, version))
        .map_err(invalid)
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

/// Why a transaction is refused, for people.
type Verdict = Result<(), &'static str>;

const UNREADABLE_PROOF: &str = "its proof can't be read";
const UNREADABLE_DATA: &str = "its data can't be read";
const WRONG_SENDER: &str = "its sender can't send such a transaction";
const WRONG_RECIPIENT: &str = "its recipient can't take such a transaction";
const WRONG_SIGNATURE: &str = "its signature is not valid";
const NO_VALUE: &str = "its value is zero";

fn ensure(condition: bool, otherwise: &'static str) -> Verdict {
    if condition { Ok(()) } else { Err(otherwise) }
}

fn check_amounts(transaction: &Transaction, network: NetworkId) -> Verdict {
    ensure(
        transaction.sender != transaction.recipient,
        "its sender is its recipient",
    )?;
    ensure(
        transaction.network_id == network,
        "it is for another network",
    )?;
    if is_signaling(transaction) {
        ensure(transaction.value.is_zero(), WRONG_RECIPIENT)?;
    } else {
        ensure(!transaction.value.is_zero(), NO_VALUE)?;
    }
    let total = transaction.value.checked_add(transaction.fee);
    ensure(
        total.is_some_and(|total| u64::from(total) <= Policy::TOTAL_SUPPLY),
        "its value and fee are more than there is",
    )
}

fn check_sender(transaction: &Transaction) -> Verdict {
    let sender_data = &transaction.sender_data;
    match transaction.sender_type {
        AccountType::Basic => {
            ensure(sender_data.is_empty(), WRONG_SENDER)?;
            let proof = signature_proof(transaction)?;
            ensure(proof.is_signed_by(&transaction.sender), WRONG_SIGNATURE)?;
            check_signature(&proof, &transaction.serialize_content())
        }
        AccountType::Vesting => {
            ensure(sender_data.is_empty(), WRONG_SENDER)?;
            let proof = signature_proof(transaction)?;
            check_signature(&proof, &transaction.serialize_content())
        }
        AccountType::HTLC => {
            ensure(sender_data.is_empty(), WRONG_SENDER)?;
            let proof = HtlcProof::parse(transaction);
            proof.map(drop).map_err(|_| UNREADABLE_PROOF)
        }
        AccountType::Staking => {
            OutgoingStakingTransactionData::parse(transaction).map_err(|_| UNREADABLE_DATA)?;
            let proof = signature_proof(transaction)?;
            check_signature(&proof, &transaction.serialize_content())
        }
    }
}

fn check_recipient(transaction: &Transaction, version: u16) -> Verdict {
    let creates = is_creation(transaction);
    let created = || creates && transaction.recipient == transaction.contract_creation_address();
    match transaction.recipient_type {
        AccountType::Basic => {
            ensure(!creates && !is_signaling(transaction), WRONG_RECIPIENT)?;
            ensure(
                transaction.recipient_data.len() <= Policy::MAX_BASIC_TX_RECIPIENT_DATA_SIZE,
                "it has more data than it may have",
            )
        }
        AccountType::Vesting => {
            ensure(created() && !is_signaling(transaction), WRONG_RECIPIENT)?;
            let data = VestingCreation::parse(transaction);
            data.map(drop).map_err(|_| UNREADABLE_DATA)
        }
        AccountType::HTLC => {
            ensure(created() && !is_signaling(transaction), WRONG_RECIPIENT)?;
            // Two addresses, the hash with its kind, the number of hashes, and the timeout.
            let length = transaction.recipient_data.len();
            ensure(matches!(length, 82 | 114), UNREADABLE_DATA)?;
            let data = HtlcCreation::parse(transaction).map_err(|_| UNREADABLE_DATA)?;
            data.verify().map_err(|_| "its data are not valid")
        }
        AccountType::Staking => check_staking(transaction, version),
    }
}

fn check_staking(transaction: &Transaction, version: u16) -> Verdict {
    use IncomingStakingTransactionData as Data;

    ensure(!is_creation(transaction), WRONG_RECIPIENT)?;
    let data = Data::parse(transaction).map_err(|_| UNREADABLE_DATA)?;
    ensure(
        data.is_signaling() == is_signaling(transaction),
        WRONG_RECIPIENT,
    )?;
    let proof = match &data {
        Data::CreateValidator { proof, .. } => {
            ensure(
                u64::from(transaction.value) == Policy::VALIDATOR_DEPOSIT,
                "its value is not the deposit of a validator",
            )?;
            proof
        }
        Data::UpdateValidator {
            new_signing_key,
            new_voting_key,
            new_reward_address,
            new_signal_data,
            new_proof_of_knowledge,
            proof,
        } => {
            let changes = new_signing_key.is_some()
                || new_voting_key.is_some()
                || new_reward_address.is_some()
                || new_signal_data.is_some();
            let complete = new_voting_key.is_some() == new_proof_of_knowledge.is_some();
            ensure(changes && complete, "its data are not valid")?;
            proof
        }
        Data::CreateStaker { proof, .. } => {
            ensure(
                u64::from(transaction.value) >= Policy::MINIMUM_STAKE,
                "its value is less than the least stake",
            )?;
            proof
        }
        Data::RetireStake {
            retire_stake,
            proof,
        } => {
            ensure(*retire_stake != Coin::ZERO, NO_VALUE)?;
            proof
        }
        Data::SetSignalData { proof, .. } => {
            ensure(
                version >= upgrades::v2::WARM_KEY_SIGNALING,
                "the protocol does not allow it now",
            )?;
            proof
        }
        Data::DeactivateValidator { proof, .. }
        | Data::ReactivateValidator { proof, .. }
        | Data::RetireValidator { proof }
        | Data::UpdateStaker { proof, .. }
        | Data::SetActiveStake { proof, .. } => proof,
        Data::AddStake { .. } => return Ok(()),
    };
    ensure(!proof.is_default_public_key(), WRONG_SIGNATURE)?;
    // The signature is over the transaction as it was before the signature was put into it.
    let mut unsigned = transaction.clone();
    unsigned.recipient_data =
        Data::set_signature_on_data(&transaction.recipient_data, SignatureProof::default())
            .map_err(|_| UNREADABLE_DATA)?;
    check_signature(proof, &unsigned.serialize_content())
}

fn is_signaling(transaction: &Transaction) -> bool {
    transaction.flags.contains(TransactionFlags::SIGNALING)
}

fn is_creation(transaction: &Transaction) -> bool {
    transaction
        .flags
        .contains(TransactionFlags::CONTRACT_CREATION)
}

fn signature_proof(transaction: &Transaction) -> Result<SignatureProof, &'static str> {
    SignatureProof::deserialize_all(&transaction.proof).map_err(|_| UNREADABLE_PROOF)
}

/// Checks an Ed25519 signature. Others are for nodes to check.
fn check_signature(proof: &SignatureProof, message: &[u8]) -> Verdict {
    if proof.webauthn_fields.is_some() {
        return Ok(());
    }
    let holds = match (&proof.public_key, &proof.signature) {
        (PublicKey::Ed25519(key), Signature::Ed25519(signature)) => key.verify(signature, message),
        (PublicKey::ES256(_), Signature::ES256(_)) => true,
        _ => false,
    };
    ensure(holds, WRONG_SIGNATURE)
}
