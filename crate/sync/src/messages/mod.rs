//! The messages of Nimiq's consensus protocol that a light client sends and reads, with the type
//! ids, limits and field order of release 2.3.0 (PROTOCOL 3). They are declared here and not taken
//! from `nimiq-consensus`, because that crate brings the full node with it; a test compares every
//! encoding with that crate's, byte for byte.

mod state;
mod transactions;
mod zkp;

use nimiq_block::{
    Block, MacroBlock, MacroHeader, MicroBlock, MicroHeader, MicroJustification, TendermintProof,
};
pub use nimiq_blockchain_interface::Direction;
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{
    network::Topic,
    request::{RequestCommon, RequestMarker},
};
use nimiq_serde::{Deserialize, Serialize, SerializedMaxSize};
use thiserror::Error;

pub use self::{
    state::{
        BlocksProofError, RequestBlocksProof, RequestTrieProof, ResponseBlocksProof,
        ResponseTrieProof, TrieProofError,
    },
    transactions::{
        AddressNotification, AddressSubscriptionOperation, AddressSubscriptionTopic,
        ControlTransaction, ControlTransactionTopic, HistoryTreeProof, NotificationEvent,
        RequestSubscribeToAddress, RequestTransactionReceiptsByAddress, RequestTransactionsProof,
        ResponseTransactionProofError, ResponseTransactionReceiptsByAddress,
        ResponseTransactionsProof, SubscribeToAddressesError, TransactionTopic,
    },
    zkp::{MAX_PROOF_SIZE, RequestZKP, ZKProof, ZkpResponse},
};

/// Asks for the peer's head (type 210).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RequestHead {}

/// The peer's heads, as it claims them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ResponseHead {
    /// Number of the head block.
    pub block_number: u32,
    /// Hash of the head block.
    pub block_hash: Blake2bHash,
    /// Hash of the last macro block.
    pub macro_hash: Blake2bHash,
    /// Hash of the last election block.
    pub election_hash: Blake2bHash,
}

impl RequestCommon for RequestHead {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 210;
    type Response = ResponseHead;
    const MAX_REQUESTS: u32 = 50;
}

/// Asks for one block by its hash (type 207).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RequestBlock {
    /// Hash of the block.
    pub hash: Blake2bHash,
    /// Whether the body of a micro block is wanted.
    pub include_body: bool,
}

/// Why a peer did not send a block.
#[derive(Clone, Debug, Deserialize, Eq, Error, PartialEq, Serialize)]
pub enum BlockError {
    /// The peer does not know the hash.
    #[error("the peer does not know the block")]
    TargetHashNotFound,
    /// Never sent: nodes set it themselves when the answer has another hash.
    #[error("the block has another hash than the one asked for")]
    ResponseHashMismatch,
    /// Anything that later releases may add.
    #[error("unknown error")]
    #[serde(other)]
    Other,
}

impl RequestCommon for RequestBlock {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 207;
    type Response = Result<Block, BlockError>;
    const MAX_REQUESTS: u32 = 200;
}

/// Asks for the election hashes after the first known locator (type 200).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RequestMacroChain {
    /// Hashes of macro blocks that we hold, newest first; at most 100.
    pub locators: Vec<Blake2bHash>,
    /// Most hashes to answer with; nodes cap it at 255.
    pub max_epochs: u16,
}

/// A checkpoint block named by a peer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Checkpoint {
    /// Number of the block.
    pub block_number: u32,
    /// Hash of the block.
    pub hash: Blake2bHash,
}

/// Election blocks after the locator, then the checkpoint, if they reach the peer's tip.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MacroChain {
    /// Hashes of the election blocks, in order.
    pub epochs: Vec<Blake2bHash>,
    /// The peer's latest checkpoint, if it is newer than everything above.
    pub checkpoint: Option<Checkpoint>,
}

/// Why a peer did not send a macro chain.
#[derive(Clone, Debug, Deserialize, Eq, Error, PartialEq, Serialize)]
pub enum MacroChainError {
    /// The peer's main chain has none of the locators.
    #[error("the peer knows none of our macro blocks")]
    UnknownLocators,
    /// More than 100 locators.
    #[error("too many locators")]
    TooManyLocators,
    /// Anything that later releases may add.
    #[error("unknown error")]
    #[serde(other)]
    Other,
}

impl RequestCommon for RequestMacroChain {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 200;
    type Response = Result<MacroChain, MacroChainError>;
    const MAX_REQUESTS: u32 = 20;
}

/// Asks for the blocks between the locators and a target (type 209).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RequestMissingBlocks {
    /// Hash of the last block that is wanted.
    pub target_hash: Blake2bHash,
    /// Whether bodies are wanted.
    pub include_body: bool,
    /// Hashes of blocks that we hold, newest first; at most 100.
    pub locators: Vec<Blake2bHash>,
    /// `Forward` follows the peer's main chain from a locator, `Backward` follows the parents of
    /// the target, which also works on a fork.
    pub direction: Direction,
}

/// A run of blocks in ascending order, up to the target or the next macro block.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ResponseBlocks {
    /// The blocks.
    pub blocks: Vec<Block>,
}

/// Why a peer did not send missing blocks.
#[derive(Clone, Debug, Deserialize, Eq, Error, PartialEq, Serialize)]
pub enum ResponseBlocksError {
    /// The target is not on the peer's main chain.
    #[error("the target is not on the peer's main chain")]
    TargetBlockNotOnMainChain,
    /// The peer does not know the target.
    #[error("the peer does not know the target")]
    TargetHashNotFound,
    /// The peer knows none of the locators.
    #[error("the peer knows none of our blocks")]
    UnknownLocators,
    /// More than 100 locators.
    #[error("too many locators")]
    TooManyLocators,
    /// The peer failed to read its store.
    #[error("the peer failed to get the blocks")]
    FailedToGetBlocks,
    /// Anything that later releases may add.
    #[error("unknown error")]
    #[serde(other)]
    Other,
}

impl RequestCommon for RequestMissingBlocks {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 209;
    type Response = Result<ResponseBlocks, ResponseBlocksError>;
    const MAX_REQUESTS: u32 = 200;
}

/// A new block without its body, as it is gossiped.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, SerializedMaxSize)]
pub enum BlockHeaderMessage {
    /// A macro block.
    Macro {
        /// Its header.
        header: MacroHeader,
        /// The validators' signatures.
        justification: TendermintProof,
    },
    /// A micro block.
    Micro {
        /// Its header.
        header: MicroHeader,
        /// The producer's signature, or the validators' for a skip block.
        justification: MicroJustification,
    },
}

impl From<BlockHeaderMessage> for Block {
    fn from(message: BlockHeaderMessage) -> Self {
        match message {
            BlockHeaderMessage::Macro {
                header,
                justification,
            } => Self::Macro(MacroBlock {
                header,
                body: None,
                justification: Some(justification),
            }),
            BlockHeaderMessage::Micro {
                header,
                justification,
            } => Self::Micro(MicroBlock {
                header,
                justification: Some(justification),
                body: None,
            }),
        }
    }
}

/// The gossip topic of new block headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlockHeaderTopic;

impl Topic for BlockHeaderTopic {
    type Item = BlockHeaderMessage;

    const BUFFER_SIZE: usize = 16;
    const NAME: &'static str = "block-header";
    const VALIDATE: bool = true;
    const MAX_MESSAGES: u32 = 20;
    const MAX_MESSAGE_SIZE: usize = BlockHeaderMessage::MAX_SIZE;
}
