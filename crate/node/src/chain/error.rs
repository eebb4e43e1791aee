//! What can go wrong with a chain.

use std::path::PathBuf;

use nimiq_blockchain::BlockProducerError;
use nimiq_blockchain_interface::{BlockchainError, PushError, PushResult};
use nimiq_keys::Address;
use nimiq_transaction_builder::TransactionBuilderError;
use thiserror::Error;

/// Why a chain could not be made or extended.
#[derive(Debug, Error)]
pub enum ChainError {
    /// The database could not be opened.
    #[error("can't open the database: {0}")]
    Database(#[from] nimiq_database::Error),
    /// A file or folder could not be read or written.
    #[error("can't use {path}: {source}")]
    Io {
        /// What was to be used.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The stored blocks don't make a chain.
    #[error("can't load the chain: {0}")]
    Blockchain(#[from] BlockchainError),
    /// A block could not be produced.
    #[error("can't produce block {number}: {source}")]
    Produce {
        /// Number of the block.
        number: u32,
        /// What the producer said.
        source: Box<BlockProducerError>,
    },
    /// A block was refused.
    #[error("the chain refused block {number}: {source}")]
    Push {
        /// Number of the block.
        number: u32,
        /// What the chain said.
        source: Box<PushError>,
    },
    /// A block was neither refused nor made the new head.
    #[error("block {number} didn't extend the chain: {result:?}")]
    NotExtended {
        /// Number of the block.
        number: u32,
        /// What the chain said.
        result: PushResult,
    },
    /// A transaction could not be built.
    #[error("can't build the transaction: {0}")]
    Transaction(#[from] TransactionBuilderError),
    /// Not every transaction could be put into a block: they don't fit, are not valid there, or
    /// their senders lack the coins.
    #[error("block {number} can take only {taken} of {given} transactions")]
    Unappliable {
        /// Number of the block.
        number: u32,
        /// How many transactions it can take.
        taken: usize,
        /// How many it was to take.
        given: usize,
    },
    /// There is no such block, or it was pruned.
    #[error("the chain has no block {0}")]
    NoSuchBlock(u32),
    /// The chain elected a validator whose keys are not here.
    #[error("the keys of validator {0} are unknown")]
    UnknownValidator(Address),
    /// An election is due, but the staking contract has no active validator: skip blocks up to here
    /// have deactivated the only one.
    #[error("nobody can be elected in block {0}: the validator is inactive")]
    NobodyToElect(u32),
    /// A skip block was wanted where a macro block is due.
    #[error("block {0} is a macro block and can't be skipped")]
    NotSkippable(u32),
}
