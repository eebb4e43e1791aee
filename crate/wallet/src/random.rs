//! Random bytes from the system, or an error where there are none: upstream's generators would panic.

use zeroize::Zeroizing;

use crate::WalletError;

/// `N` bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, WalletError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|_| WalletError::NoRandomness)?;
    Ok(bytes)
}
