//! Proofs of the election chain (type 211): the messages of the v1 protocol, as they were. What a
//! proof is made of is not known here.

use nimiq_block::MacroBlock;
use nimiq_network_interface::request::{RequestCommon, RequestMarker};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The longest proof that is read, in bytes. Those of the v1 protocol have 475, ours 380.
pub const MAX_PROOF_SIZE: usize = 1024;

/// Asks for the peer's latest proof (type 211).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RequestZKP {
    /// Number of the election block that we have proven already; only a later one is of interest.
    pub block_number: u32,
    /// Whether the proven election block is wanted as well.
    pub request_election_block: bool,
}

/// A proof that an election block follows from the one that proofs of the network start from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ZKProof {
    /// Number of the proven election block. Four bytes on the wire, big-endian.
    pub block_number: u32,
    /// The proof, at most [`MAX_PROOF_SIZE`] bytes. There is none of the genesis block, which needs
    /// none.
    pub proof: Option<Vec<u8>>,
}

impl Serialize for ZKProof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.block_number.to_be_bytes(), &self.proof).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ZKProof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (number, proof) = <([u8; 4], Option<Vec<u8>>)>::deserialize(deserializer)?;
        if proof
            .as_ref()
            .is_some_and(|proof| proof.len() > MAX_PROOF_SIZE)
        {
            return Err(D::Error::custom("the proof is too long"));
        }
        Ok(Self {
            block_number: u32::from_be_bytes(number),
            proof,
        })
    }
}

/// A peer's latest proof.
#[allow(clippy::large_enum_variant, reason = "there is never more than one")]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum ZkpResponse {
    /// The proof, and the block that it proves if that was asked for. The block comes without body.
    Proof(ZKProof, Option<MacroBlock>),
    /// The peer has none that is later. The number is that of the block that its own proves.
    Outdated(u32),
}

impl RequestCommon for RequestZKP {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 211;
    type Response = ZkpResponse;
    const MAX_REQUESTS: u32 = 1000;
}
