//! Proofs of state and of election blocks: what is said of the accounts tree at the head of a peer
//! (type 215), and which election blocks connect an old one with a newer one (type 216).

use std::fmt;

use nimiq_block::MacroBlock;
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::request::{RequestCommon, RequestMarker};
use nimiq_primitives::{key_nibbles::KeyNibbles, trie::trie_proof::TrieProof};
use nimiq_serde::{Deserialize, Serialize};
use thiserror::Error;

/// Asks for what the accounts tree holds at some keys, or for a proof that it holds nothing there
/// (type 215).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RequestTrieProof {
    /// The keys: at least one, at most 255, each once.
    pub keys: Vec<KeyNibbles>,
}

/// A proof of values in the accounts tree of the peer's head.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ResponseTrieProof {
    /// The part of the tree that leads to the keys.
    pub proof: TrieProof,
    /// Hash of the block whose state it is.
    pub block_hash: Blake2bHash,
}

/// Why a peer did not prove any state.
#[derive(Clone, Debug, Deserialize, Eq, Error, PartialEq, Serialize)]
pub enum TrieProofError {
    /// The peer does not hold this part of the tree.
    #[error("the peer does not hold this part of the accounts tree")]
    IncompleteTrie,
    /// No keys.
    #[error("no keys were asked for")]
    EmptyKeys,
    /// More than 255 keys.
    #[error("too many keys")]
    TooManyKeys,
    /// The same key twice.
    #[error("the same key twice")]
    DuplicateKeys,
    /// Anything that later releases may add.
    #[error("unknown error")]
    #[serde(other)]
    Other,
}

impl RequestCommon for RequestTrieProof {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 215;
    type Response = Result<ResponseTrieProof, TrieProofError>;
    const MAX_REQUESTS: u32 = 50;
}

/// Asks for the election blocks through which an election block refers to older ones (type 216).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RequestBlocksProof {
    /// Number of the election block to start from.
    pub election_head: u32,
    /// Numbers of the older election blocks, genesis excluded; at most 255.
    pub blocks: Vec<u32>,
}

/// The election blocks in between, each of which names the next in its interlink.
#[derive(Clone, Deserialize, Serialize)]
pub struct ResponseBlocksProof {
    /// The blocks, newest first for each block that was asked for. Neither end is among them.
    pub proof: Vec<MacroBlock>,
}

impl fmt::Debug for ResponseBlocksProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseBlocksProof({} blocks)", self.proof.len())
    }
}

/// Why a peer did not connect two election blocks.
#[derive(Clone, Debug, Deserialize, Eq, Error, PartialEq, Serialize)]
pub enum BlocksProofError {
    /// No election block has this number, or the peer's chain does not reach it.
    #[error("the peer has no election block {0}")]
    BadBlockNumber(u32),
    /// More than 255 blocks.
    #[error("too many blocks")]
    TooManyBlocks,
    /// Anything that later releases may add.
    #[error("unknown error")]
    #[serde(other)]
    Other,
}

impl RequestCommon for RequestBlocksProof {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 216;
    type Response = Result<ResponseBlocksProof, BlocksProofError>;
    const MAX_REQUESTS: u32 = 50;
}
