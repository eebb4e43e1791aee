//! The arguments of queries: addresses, hashes, blocks, transactions and the options that go with them,
//! checked before anything is asked.

use nimiq_hash::Blake2bHash;
use nimiq_keys::Address;
use pico_sync::query::{BlockId, Confirmations, HistoryOptions};

use crate::{
    check::{Problems, choice, decode_hash, decode_hex, whole},
    error::{ClientError, ErrorCode},
    value::Value,
};

/// The properties of the options of `transactionsByAddress`.
pub const HISTORY_NAMES: [&str; 3] = ["limit", "startAt", "sinceBlock"];

/// Accounts that one call may ask for: more than a wallet has, and few enough that reading them and putting
/// together the answers each take well below the 50 ms that make a long task (10,000 take 50 and 110).
pub const MAX_ADDRESSES: usize = 2_000;

/// Longest text that is looked at as an address, in bytes: four times the longest spelling.
const MAX_ADDRESS_TEXT: usize = 176;

/// The address spelled by `value`: user-friendly, with or without spaces, or 40 hexadecimal digits.
///
/// # Errors
/// `invalid-address`, with the value.
pub fn address(value: &Value) -> Result<Address, ClientError> {
    let parsed = match value {
        Value::Text(text) if text.len() <= MAX_ADDRESS_TEXT => Address::from_any_str(text).ok(),
        _ => None,
    };
    parsed.ok_or_else(|| {
        let message = format!("address: {value} is not an address");
        ClientError::new(ErrorCode::InvalidAddress, message)
    })
}

/// A list of addresses, at most `max`.
///
/// # Errors
/// `invalid-address`, with the first that is none; `invalid-options` if it is no list, or too long.
pub fn addresses(value: &Value, max: usize) -> Result<Vec<Address>, ClientError> {
    match value {
        Value::List(items) if items.len() <= max => items.iter().map(address).collect(),
        Value::List(_) => Err(invalid(format!("addresses: more than {max} at a time"))),
        other => Err(invalid(format!("addresses: {other} is not an array"))),
    }
}

/// The hash of a transaction.
///
/// # Errors
/// `invalid-options`, with the value.
pub fn hash(value: &Value) -> Result<Blake2bHash, ClientError> {
    read_hash(value).ok_or_else(|| invalid(format!("hash: {value} is {NO_HASH}")))
}

const NO_HASH: &str = "not a hash of 64 hexadecimal digits";

fn read_hash(value: &Value) -> Option<Blake2bHash> {
    match value {
        Value::Text(text) => decode_hash(text).map(Into::into),
        _ => None,
    }
}

/// The block that `getBlock` is called for.
///
/// # Errors
/// `invalid-options`, naming the value.
pub fn block_id(value: &Value) -> Result<BlockId, ClientError> {
    let by_number = || block_number(value).map(BlockId::Number);
    let by_hash = || read_hash(value).map(BlockId::Hash);
    by_number().or_else(by_hash).ok_or_else(|| {
        invalid(format!(
            "hashOrNumber: {value} is neither a hash of 64 hexadecimal digits nor a block number"
        ))
    })
}

fn block_number(value: &Value) -> Option<u32> {
    whole(value, 0, u32::MAX as usize).and_then(|number| u32::try_from(number).ok())
}

/// The options of `transactionsByAddress`.
///
/// # Errors
/// `invalid-options`, naming every value that can't be used.
pub fn history_options(value: &Value) -> Result<HistoryOptions, ClientError> {
    let mut problems = Problems::default();
    if !matches!(value, Value::Record(_) | Value::Absent) {
        problems.invalid("options", value, "not an object");
    }
    let mut number = |name, why| match value.get(name) {
        Value::Absent => None,
        given => {
            let number = block_number(given);
            if number.is_none() {
                problems.invalid(name, given, why);
            }
            number
        }
    };
    let limit = number("limit", "not a whole number from 0 on");
    let since_block = number("sinceBlock", "not a block number");
    let start_at = match value.get("startAt") {
        Value::Absent => None,
        given => {
            let hash = read_hash(given);
            if hash.is_none() {
                problems.invalid("startAt", given, NO_HASH);
            }
            hash
        }
    };
    problems.into_result().map(|()| HistoryOptions {
        limit,
        start_at,
        since_block,
    })
}

/// A serialised transaction: bytes, or hex.
///
/// # Errors
/// `invalid-transaction`, if it is neither.
pub fn raw_transaction(value: Value) -> Result<Vec<u8>, ClientError> {
    let bytes = match value {
        Value::Bytes(bytes) => return Ok(bytes),
        Value::Text(ref text) => decode_hex(text),
        _ => None,
    };
    bytes.ok_or_else(|| {
        let message = format!("raw: {value} is neither a Uint8Array nor hexadecimal digits");
        ClientError::new(ErrorCode::InvalidTransaction, message)
    })
}

/// How far `waitForTransaction` waits. Unless said otherwise, until it is included.
///
/// # Errors
/// `invalid-options`, naming the value.
pub fn confirmations(value: &Value) -> Result<Confirmations, ClientError> {
    let known = [
        ("included", Confirmations::Included),
        ("finalized", Confirmations::Finalized),
    ];
    let mut problems = Problems::default();
    let chosen = choice("confirmations", value, &known, &mut problems);
    problems
        .into_result()
        .map(|()| chosen.unwrap_or(Confirmations::Included))
}

fn invalid(message: String) -> ClientError {
    ClientError::new(ErrorCode::InvalidOptions, message)
}
