//! What was told of transactions, so that no later answer falls behind it: peers differ by a block or
//! two, and the next one to be asked may not have got as far as the one before.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU32, Ordering},
};

use nimiq_block::Block;
use nimiq_hash::Blake2bHash;
use nimiq_keys::Address;
use nimiq_network_interface::network::Network;
use parking_lot::Mutex;

use super::details::TransactionDetails;
use crate::{limits, query::Queries};

/// A transaction that somebody was told of, and the hash of its block.
#[derive(Debug)]
struct Known {
    details: TransactionDetails,
    number: u32,
    block: Blake2bHash,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Number of the last block that a transaction was told of.
    number: AtomicU32,
    /// The transactions of the last blocks, as many as are remembered.
    known: Mutex<VecDeque<Known>>,
}

impl<TNetwork: Network> Queries<TNetwork> {
    /// Notes that somebody is about to be told of a transaction in a block, by what is proven.
    pub(super) fn tells_of(&self, number: u32) {
        let told = &self.inner.told;
        told.number.fetch_max(number, Ordering::Relaxed);
    }

    /// The same for one that somebody follows, in the block with this hash if it is kept: it is not to
    /// be missing where all transactions of an address are asked for.
    pub(super) fn tells(&self, details: &TransactionDetails, block: Option<&Blake2bHash>) {
        let Some(number) = details.block_number else {
            return;
        };
        self.tells_of(number);
        let Some(block) = block else {
            return;
        };
        let mut known = self.inner.told.known.lock();
        let is_new = |known: &Known| known.details.hash != details.hash || known.block != *block;
        if known.iter().all(is_new) {
            known.push_front(Known {
                details: details.clone(),
                number,
                block: block.clone(),
            });
            known.truncate(limits::MAX_TOLD);
        }
    }

    /// Number of the last block that somebody was told a transaction of: who knows of a payment
    /// expects to see it in the balance. No block that our chain has not, or not any more.
    pub(crate) fn told(&self) -> u32 {
        let head = self.context().chain.heads();
        let head = head.map_or(0, |heads| heads.head.number);
        self.inner.told.number.load(Ordering::Relaxed).min(head)
    }

    /// Transactions of an address that somebody was told of a moment ago, and that are in our chain
    /// still. Newest first.
    pub(super) fn told_lately(&self, address: &Address) -> VecDeque<TransactionDetails> {
        let chain = &self.context().chain;
        let Some(heads) = chain.heads() else {
            return VecDeque::new();
        };
        let oldest = heads.head.number.saturating_sub(limits::QUERY_STATE_AGE);
        let mut known = self.inner.told.known.lock();
        known.retain(|known| known.number >= oldest);
        let is_ours = |known: &&Known| {
            let ours = chain.read(|chain| chain.block_at(known.number).map(Block::hash));
            ours.flatten().as_ref() == Some(&known.block)
        };
        let mut lately: Vec<_> = known
            .iter()
            .filter(|known| known.details.touches(address))
            .filter(is_ours)
            .map(|known| known.details.clone().seen_from(&heads))
            .collect();
        lately.sort_by_key(|details| std::cmp::Reverse(details.block_number));
        lately.into()
    }
}
