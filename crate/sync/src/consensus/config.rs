//! What is decided before an engine runs.

use crate::{params::Anchor, saved::SavedChain};

/// How to sync.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SyncMode {
    /// Optimistically, with light macro sync as fallback.
    #[default]
    Pico,
    /// Verified from the start.
    Light,
}

/// What the user may choose.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncConfig {
    /// How to sync.
    pub mode: SyncMode,
    /// Whether an optimistic chain is proven in the background.
    pub verify_in_background: bool,
    /// Good peers that make consensus.
    pub min_peers: usize,
    /// Where trust starts, in place of [`NetworkParams::anchor`](crate::NetworkParams::anchor): an
    /// election block, or genesis.
    pub anchor: Option<Anchor>,
    /// What an earlier run left behind, see [`Handle::saved`](super::Handle::saved).
    pub restored: Option<SavedChain>,
    /// How proofs of the election chain are used: not at all without a verifying key.
    pub proofs: Option<ProofConfig>,
}

/// What the engine has to know of the network's verifying key. The key itself is the
/// [`Verifier`](crate::Verifier)'s.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProofConfig {
    /// Number of the election block that proofs start from. Its hash is not taken from anybody: the
    /// engine walks there by signatures.
    pub anchor_number: u32,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            mode: SyncMode::Pico,
            verify_in_background: true,
            min_peers: 3,
            anchor: None,
            restored: None,
            proofs: None,
        }
    }
}
