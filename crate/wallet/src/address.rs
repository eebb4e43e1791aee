//! Addresses, as people write them.

use nimiq_keys::{Address, AddressParseError};

use crate::WalletError;

/// Reads an address in its user-friendly form (`NQ…`, with spaces anywhere or nowhere) or as 40 hexadecimal digits.
///
/// Of the two, only the user-friendly form has check digits.
pub fn parse(text: &str) -> Result<Address, WalletError> {
    match Address::from_user_friendly_address(text) {
        Ok(address) => Ok(address),
        Err(AddressParseError::InvalidChecksum) => Err(WalletError::AddressChecksum),
        Err(_) => Address::from_hex(text).map_err(|_| WalletError::Address),
    }
}

/// Whether `parse` reads it.
pub fn is_valid(text: &str) -> bool {
    parse(text).is_ok()
}
