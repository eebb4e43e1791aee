//! Addresses, as people write them.

use nimiq_keys::{Address, AddressParseError};

use crate::WalletError;

/// Reads an address in its user-friendly form (`NQ…`, with or without spaces) or as 40 hexadecimal digits.
///
/// Of the two, only the user-friendly form has check digits.
pub fn parse(text: &str) -> Result<Address, WalletError> {
    let text = text.trim();
    if !text.starts_with("NQ") {
        return Address::from_hex(text).map_err(|_| WalletError::Address);
    }
    Address::from_user_friendly_address(text).map_err(|error| match error {
        AddressParseError::InvalidChecksum => WalletError::AddressChecksum,
        _ => WalletError::Address,
    })
}

/// Whether `parse` reads it.
pub fn is_valid(text: &str) -> bool {
    parse(text).is_ok()
}
