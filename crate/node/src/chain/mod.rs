//! Chains of real blocks, made to order.
//!
//! A [`ScriptedChain`] is a full [`Blockchain`](nimiq_blockchain::Blockchain) in a temporary
//! database together with the keys of the only validator of `unit-albatross`, so it can be extended
//! at will, far faster than one block a second. [`ValidatorKeys`] signs blocks as that validator (or
//! as one that was never elected), [`Payer`] makes transactions for the blocks, and [`Mutation`] every
//! kind of block that a light client must refuse. [`answer`] answers requests about a chain as a node
//! does.
//!
//! Serving a chain to peers is the business of the modules `node` and `liar`.

mod answers;
mod data;
mod error;
mod fixture;
mod folder;
mod key_ring;
mod keys;
mod mutation;
mod produce;
mod scripted;
mod transactions;

use nimiq_block::Block;
use nimiq_genesis::NetworkInfo;
use nimiq_primitives::{networks::NetworkId, policy::Policy};

pub use self::{
    answers::answer,
    data::ChainData,
    error::ChainError,
    fixture::{ELECTIONS_FILE, Fixture, PROOFS_FOLDER},
    folder::delete_folders,
    keys::ValidatorKeys,
    mutation::{Mutation, Signing},
    scripted::{ChainConfig, ScriptedChain, Timing},
    transactions::Payer,
};
pub(crate) use self::{
    folder::Folder,
    key_ring::KeyRing,
    produce::{Contents, produce, push_to},
};

/// The network all chains of this crate are on.
pub const NETWORK_ID: NetworkId = NetworkId::UnitAlbatross;

/// Installs the policy of [`NETWORK_ID`] for this process and returns it. Calling it again is
/// harmless.
///
/// The policy is one static of `nimiq-primitives`, and whoever reads it first without installing
/// one gets the main network's. So this runs at the start of everything in this crate.
///
/// # Panics
/// In debug builds, if the process has already installed the policy of another network.
pub fn init_policy() -> Policy {
    let network = NetworkInfo::from_network_id(NETWORK_ID);
    Policy::get_or_init(Policy {
        genesis_block_number: network.genesis_block().block_number(),
        max_supported_version: network.max_supported_version(),
        ..Policy::default_for_network(NETWORK_ID)
    })
}

/// The genesis block of [`NETWORK_ID`].
pub fn genesis_block() -> Block {
    init_policy();
    NetworkInfo::from_network_id(NETWORK_ID).genesis_block()
}

/// Drops what a light client never gets: the body.
pub fn without_body(mut block: Block) -> Block {
    match &mut block {
        Block::Macro(block) => block.body = None,
        Block::Micro(block) => block.body = None,
    }
    block
}

/// Forgets the hash remembered in the header, which a change of the header leaves wrong.
pub(crate) fn forget_hash(block: &mut Block) {
    match block {
        Block::Macro(block) => block.header.cached_hash = None,
        Block::Micro(block) => block.header.cached_hash = None,
    }
}
