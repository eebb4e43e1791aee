//! What queries find, as plain values in the shapes of the public API: amounts in Luna as `bigint`,
//! addresses in their user-friendly form, hashes and bytes in lower-case hex. What there isn't is left out.

use std::fmt::Write as _;

use nimiq_account::{
    Account, HashedTimeLockedContract, Staker, StakingContract, Validator, VestingContract,
};
use nimiq_block::Block;
use nimiq_keys::Address;
use nimiq_primitives::{coin::Coin, policy::Policy};
use nimiq_transaction::{TransactionFormat, account::htlc_contract::AnyHash};
use pico_sync::{
    Trust,
    query::{Answer, ElectedValidator, TransactionDetails, TransactionState},
};

use crate::value::Value;

/// What `getAccount` says of `address`. One that is proven to hold nothing is a basic account of 0.
pub fn account(address: &Address, answer: &Answer<Option<Account>>) -> Value {
    let (kind, details) = match &answer.value {
        None | Some(Account::Basic(_)) => ("basic", Value::Absent),
        Some(Account::Vesting(contract)) => ("vesting", vesting(contract)),
        Some(Account::HTLC(contract)) => ("htlc", htlc(contract)),
        Some(Account::Staking(contract)) => ("staking", staking(contract)),
    };
    let balance = answer.value.as_ref().map_or(Coin::ZERO, Account::balance);
    Value::Record(vec![
        ("address", friendly(address)),
        ("type", kind.into()),
        ("balance", luna(balance)),
        ("blockNumber", answer.block_number.into()),
        ("trust", trust(answer.trust)),
        ("details", details),
    ])
}

fn vesting(contract: &VestingContract) -> Value {
    Value::Record(vec![
        ("owner", friendly(&contract.owner)),
        ("startTime", number(contract.start_time)),
        ("timeStep", number(contract.time_step)),
        ("stepAmount", luna(contract.step_amount)),
        ("totalAmount", luna(contract.total_amount)),
    ])
}

fn htlc(contract: &HashedTimeLockedContract) -> Value {
    let algorithm = match contract.hash_root {
        AnyHash::Blake2b(_) => "blake2b",
        AnyHash::Sha256(_) => "sha256",
        AnyHash::Sha512(_) => "sha512",
    };
    Value::Record(vec![
        ("sender", friendly(&contract.sender)),
        ("recipient", friendly(&contract.recipient)),
        ("hashAlgorithm", algorithm.into()),
        ("hashRoot", contract.hash_root.to_hex().into()),
        ("hashCount", u32::from(contract.hash_count).into()),
        ("timeout", number(contract.timeout)),
        ("totalAmount", luna(contract.total_amount)),
    ])
}

fn staking(contract: &StakingContract) -> Value {
    let validators = contract.active_validators.iter().map(|(address, stake)| {
        Value::Record(vec![
            ("address", friendly(address)),
            ("stake", luna(*stake)),
        ])
    });
    Value::Record(vec![(
        "activeValidators",
        Value::List(validators.collect()),
    )])
}

/// What `getValidator` says.
pub fn validator(validator: &Validator) -> Value {
    Value::Record(vec![
        ("address", friendly(&validator.address)),
        ("signingKey", hex(validator.signing_key.as_bytes())),
        ("votingKey", hex(validator.voting_key.as_ref())),
        ("rewardAddress", friendly(&validator.reward_address)),
        ("deposit", luna(validator.deposit)),
        ("totalStake", luna(validator.total_stake)),
        ("numStakers", number(validator.num_stakers)),
        ("retired", validator.retired.into()),
        ("inactiveFrom", validator.inactive_from.into()),
        ("jailedFrom", validator.jailed_from.into()),
    ])
}

/// What `getStaker` says.
pub fn staker(staker: &Staker) -> Value {
    Value::Record(vec![
        ("address", friendly(&staker.address)),
        ("balance", luna(staker.active_balance)),
        (
            "delegation",
            staker.delegation.as_ref().map_or(Value::Absent, friendly),
        ),
        ("inactiveBalance", luna(staker.inactive_balance)),
        ("inactiveFrom", staker.inactive_from.into()),
        ("retiredBalance", luna(staker.retired_balance)),
    ])
}

/// What `getElectedValidators` says.
pub fn elected(validators: &[ElectedValidator]) -> Value {
    let validators = validators.iter().map(|validator| {
        Value::Record(vec![
            ("address", friendly(&validator.address)),
            ("slots", u32::from(validator.slots).into()),
            ("firstSlot", u32::from(validator.first_slot).into()),
        ])
    });
    Value::List(validators.collect())
}

/// What `getBlock` says. The network's policy must be installed.
pub fn block(block: &Block) -> Value {
    let block_number = block.block_number();
    Value::Record(vec![
        ("blockNumber", block_number.into()),
        ("hash", block.hash().to_hex().into()),
        (
            "type",
            if block.is_macro() { "macro" } else { "micro" }.into(),
        ),
        ("election", block.is_election().into()),
        ("epoch", Policy::epoch_at(block_number).into()),
        ("batch", Policy::batch_at(block_number).into()),
        ("timestamp", number(block.timestamp())),
        ("parentHash", block.parent_hash().to_hex().into()),
        ("stateHash", block.state_root().to_hex().into()),
        ("historyHash", block.history_root().to_hex().into()),
        ("version", u32::from(block.version()).into()),
    ])
}

/// A transaction and what became of it.
pub fn transaction(details: &TransactionDetails) -> Value {
    let transaction = &details.transaction;
    let format = match transaction.format() {
        TransactionFormat::Basic => "basic",
        TransactionFormat::Extended => "extended",
    };
    let state = match details.state {
        TransactionState::Pending => "pending",
        TransactionState::Included => "included",
        TransactionState::Finalized => "finalized",
        TransactionState::Expired => "expired",
        TransactionState::Failed => "failed",
    };
    Value::Record(vec![
        ("hash", details.hash.to_hex().into()),
        ("sender", friendly(&transaction.sender)),
        ("recipient", friendly(&transaction.recipient)),
        ("value", luna(transaction.value)),
        ("fee", luna(transaction.fee)),
        ("data", hex(&transaction.recipient_data)),
        ("flags", u32::from(u8::from(transaction.flags)).into()),
        (
            "validityStartHeight",
            transaction.validity_start_height.into(),
        ),
        ("format", format.into()),
        ("state", state.into()),
        ("blockNumber", details.block_number.into()),
        ("timestamp", details.timestamp.map_or(Value::Absent, number)),
        ("confirmations", details.confirmations.into()),
        ("executed", details.executed.into()),
    ])
}

fn trust(trust: Trust) -> Value {
    match trust {
        Trust::Optimistic => "optimistic",
        Trust::Verified => "verified",
    }
    .into()
}

fn friendly(address: &Address) -> Value {
    address.to_user_friendly_address().into()
}

fn luna(amount: Coin) -> Value {
    Value::Big(amount.into())
}

/// Times and counts: exact up to 2^53, which is far beyond any that is meant.
fn number(value: u64) -> Value {
    Value::Number(value as f64)
}

fn hex(bytes: &[u8]) -> Value {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}
