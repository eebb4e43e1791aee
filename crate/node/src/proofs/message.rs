//! The messages by which proofs are asked for and told, those of the v1 protocol.
//!
//! They are those of a node, declared apart from the client's; a test compares the two.

use nimiq_block::MacroBlock;
use nimiq_network_interface::request::{RequestCommon, RequestMarker};
use serde::{Deserialize, Serialize};

/// Asks for the latest proof (type 211).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RequestZKP {
    /// Number of the block that the asking peer has proven already.
    pub block_number: u32,
    /// Whether it wants the proven election block as well.
    pub request_election_block: bool,
}

impl RequestCommon for RequestZKP {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 211;
    type Response = ZkpResponse;
    /// Each 10 s.
    const MAX_REQUESTS: u32 = 1000;
}

/// A proof of the election chain.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ZKProof {
    /// Number of the proven election block, as four bytes, the highest first.
    pub block_number: [u8; 4],
    /// The proof itself. The genesis block needs none.
    pub proof: Option<Vec<u8>>,
}

/// What is answered.
#[expect(
    clippy::large_enum_variant,
    reason = "it is on its way from or to bytes"
)]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum ZkpResponse {
    /// The latest proof; and the proven block if it was asked for, with its justification and
    /// without its body.
    Proof(ZKProof, Option<MacroBlock>),
    /// There is no later one; the latest proves the block of this number.
    Outdated(u32),
}
