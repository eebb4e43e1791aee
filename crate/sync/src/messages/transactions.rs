//! Messages about transactions: proofs of inclusion, receipts by address, and notifications for the
//! addresses that a client watches. The topics that transactions are published on come from
//! `nimiq-transaction`.

use std::fmt;

use nimiq_block::Block;
use nimiq_hash::Blake2bHash;
use nimiq_keys::Address;
use nimiq_network_interface::{
    network::Topic,
    request::{RequestCommon, RequestMarker},
};
use nimiq_serde::{Deserialize, Serialize};
pub use nimiq_transaction::{
    ControlTransaction, ControlTransactionTopic, TransactionTopic, history_proof::HistoryTreeProof,
};
use thiserror::Error;

/// Asks for a proof that transactions are in the chain's history (type 213).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RequestTransactionsProof {
    /// Hashes of the transactions; at most 255. Without a block number only the first counts.
    pub hashes: Vec<Blake2bHash>,
    /// Block whose history root the proof is to lead to. The peer picks one if there is none.
    pub block_number: Option<u32>,
}

/// A proof, and the block that it refers to.
#[derive(Deserialize, Serialize)]
pub struct ResponseTransactionsProof {
    /// The transactions, and how they are part of the history tree.
    pub proof: HistoryTreeProof,
    /// The block whose history root the proof leads to.
    pub block: Block,
}

impl fmt::Debug for ResponseTransactionsProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, number) = (self.proof.history.len(), self.block.block_number());
        write!(f, "a proof of {count} transactions by block {number}")
    }
}

/// Why a peer did not prove transactions.
#[derive(Clone, Debug, Deserialize, Eq, Error, PartialEq, Serialize)]
pub enum ResponseTransactionProofError {
    /// No hashes were given.
    #[error("no transactions were asked for")]
    NoTransactionsProvided,
    /// More than 255 hashes.
    #[error("too many transactions were asked for")]
    TooManyTransactionsProvided,
    /// The block, the first number, is above the peer's head, the second.
    #[error("the peer is only at block {1}, not yet at {0}")]
    RequestedTxnProofFromFuture(u32, u32),
    /// The block is a checkpoint of an epoch that has ended: only its election block proves it.
    #[error("the epoch of block {0} has ended for the peer")]
    RequestedTxnProofFromFinalizedEpoch(u32),
    /// The block is a micro block of a batch that has ended: only a macro block proves it.
    #[error("the batch of block {0} has ended for the peer")]
    RequestedTxnProofFromFinalizedBatch(u32),
    /// The peer does not have the block.
    #[error("the peer does not have block {0}")]
    BlockNotFound(u32),
    /// The transactions are not in that history.
    #[error("the peer could not prove that the transactions are in the chain")]
    CouldntProveInclusion,
    /// The peer does not know the transaction.
    #[error("the peer does not know the transaction")]
    TransactionNotFound,
    /// Anything that later releases may add; also, that the peer has no index of transactions.
    #[error("the peer could not prove it")]
    #[serde(other)]
    Other,
}

impl RequestCommon for RequestTransactionsProof {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 213;
    type Response = Result<ResponseTransactionsProof, ResponseTransactionProofError>;
    const MAX_REQUESTS: u32 = 1000;
}

/// Asks which transactions and rewards touch an address, newest first (type 214).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RequestTransactionReceiptsByAddress {
    /// The address, as sender or recipient of a transaction, or as recipient of a reward.
    pub address: Address,
    /// Most receipts to answer with; nodes cap it at 500.
    pub max: Option<u16>,
    /// Only what is older than this transaction of the address.
    pub start_at: Option<Blake2bHash>,
}

/// What a peer says touches the address. A peer without an index says nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ResponseTransactionReceiptsByAddress {
    /// Hashes of transactions and the numbers of their blocks, newest first.
    pub receipts: Vec<(Blake2bHash, u32)>,
}

impl RequestCommon for RequestTransactionReceiptsByAddress {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 214;
    type Response = ResponseTransactionReceiptsByAddress;
    const MAX_REQUESTS: u32 = 20;
}

/// Whether notifications are to begin or to end.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum AddressSubscriptionOperation {
    /// They are to begin.
    Subscribe,
    /// They are to end.
    Unsubscribe,
}

/// Asks to be notified of transactions that touch the addresses (type 217). The notifications come
/// on [`AddressSubscriptionTopic`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RequestSubscribeToAddress {
    /// Whether to begin or to end.
    pub operation: AddressSubscriptionOperation,
    /// The addresses; a node watches at most 250 for each peer, and serves at most 50 peers.
    pub addresses: Vec<Address>,
}

/// Why a peer does not notify.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Error, PartialEq, Serialize)]
pub enum SubscribeToAddressesError {
    /// It notifies enough others.
    #[error("the peer serves too many others")]
    TooManyPeers,
    /// It would have to watch more addresses for us than it wants to.
    #[error("the peer watches too many addresses for us")]
    TooManyAddresses,
    /// It has no subscription of ours that could end.
    #[error("the peer knows of no subscription")]
    InvalidOperation,
    /// Anything that later releases may add.
    #[error("unknown error")]
    #[serde(other)]
    Other,
}

impl RequestCommon for RequestSubscribeToAddress {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 217;
    type Response = Result<(), SubscribeToAddressesError>;
    const MAX_REQUESTS: u32 = 10;
}

/// Why a peer notifies.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum NotificationEvent {
    /// Its chain was extended.
    BlockchainExtend,
}

/// What a peer says has just happened to addresses that we watch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AddressNotification {
    /// Why it says so.
    pub event: NotificationEvent,
    /// Hashes of transactions and the numbers of their blocks.
    pub receipts: Vec<(Blake2bHash, u32)>,
}

/// The topic of notifications. Each peer has its own subtopic, which is called like its peer id.
#[derive(Clone, Copy, Debug, Default)]
pub struct AddressSubscriptionTopic;

impl Topic for AddressSubscriptionTopic {
    type Item = AddressNotification;

    const BUFFER_SIZE: usize = 1024;
    const NAME: &'static str = "address-subscription";
    const VALIDATE: bool = false;
    const MAX_MESSAGES: u32 = 10_000;
}
