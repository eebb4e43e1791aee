//! Production at another pace than the network's.
//!
//! The real validator aims at one block a second, a constant of the protocol. For demonstrations and
//! tests that want another pace this takes its place: the same blocks, made by the same
//! [`BlockProducer`](nimiq_blockchain::BlockProducer) from the same mempool and published on the same topics, only without the vote of validators: one that
//! has the keys of all can do without.

use std::{collections::HashSet, sync::Arc, time::Duration};

use nimiq_block::{Block, MicroBlock};
use nimiq_blockchain::Blockchain;
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_mempool::mempool::Mempool;
use nimiq_network_libp2p::Network;
use nimiq_primitives::policy::Policy;
use nimiq_transaction::Transaction;
use nimiq_utils::time::systemtime_to_timestamp;
use parking_lot::RwLock;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use tokio::time::{MissedTickBehavior, interval};

use super::publish;
use crate::chain::{ChainError, Contents, KeyRing, produce, push_to};

/// How often a block is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockTime {
    /// As often as the protocol wants it, by the unmodified validator.
    Standard,
    /// After this time each, macro blocks included.
    ///
    /// Nodes accept no more than 20 headers in 10 s from one peer by gossip, so below half a second
    /// blocks reach them, and light clients, in bursts.
    Every(Duration),
}

impl BlockTime {
    /// The pace with this many milliseconds between blocks.
    pub fn from_millis(millis: u64) -> Self {
        if millis == Policy::BLOCK_SEPARATION_TIME {
            Self::Standard
        } else {
            Self::Every(Duration::from_millis(millis))
        }
    }

    /// The time between blocks.
    pub(super) fn period(self) -> Duration {
        match self {
            Self::Standard => Duration::from_millis(Policy::BLOCK_SEPARATION_TIME),
            Self::Every(period) => period,
        }
    }
}

/// Makes a block each `period`, for ever.
pub(super) async fn produce_blocks(
    blockchain: Arc<RwLock<Blockchain>>,
    mempool: Arc<Mempool>,
    network: Arc<Network>,
    keys: KeyRing,
    period: Duration,
) {
    let keys = Arc::new(keys);
    let mut ticks = interval(period);
    // A machine that was asleep shall not catch up all at once.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let blockchain = Arc::clone(&blockchain);
        let mempool = Arc::clone(&mempool);
        let keys = Arc::clone(&keys);
        // Signing and writing to disk would hold up the network.
        let made =
            tokio::task::spawn_blocking(move || make_block(&blockchain, &mempool, &keys)).await;
        match made {
            Ok(Ok(block)) => {
                if let Err(error) = publish(&network, block).await {
                    log::debug!("Nobody heard of the new block: {error}");
                }
            }
            Ok(Err(error)) => log::error!("No block was made: {error}"),
            Err(error) => {
                log::error!("Block production crashed: {error}");
                return;
            }
        }
    }
}

fn make_block(
    blockchain: &RwLock<Blockchain>,
    mempool: &Mempool,
    keys: &KeyRing,
) -> Result<Block, ChainError> {
    let now = systemtime_to_timestamp(std::time::SystemTime::now());
    let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
    // Nobody may change the chain between making the block and pushing it.
    let blockchain = blockchain.upgradable_read();
    let transactions = if Policy::is_macro_block_at(blockchain.block_number() + 1) {
        Vec::new()
    } else {
        take_transactions(&blockchain, mempool)
    };
    let taken = transactions.clone();
    let contents = Contents {
        timestamp: now,
        transactions,
        ..Contents::default()
    };
    let made = produce(&blockchain, keys, contents, &mut rng);
    // What the mempool gave is gone from it, but only what is in the block is done with.
    let included: HashSet<Blake2bHash> = made
        .as_ref()
        .ok()
        .and_then(Block::transactions)
        .unwrap_or_default()
        .iter()
        .map(|transaction| transaction.get_raw_transaction().hash())
        .collect();
    let left = taken
        .into_iter()
        .filter(|transaction| !included.contains(&transaction.hash()))
        .collect();
    mempool.return_transactions_locked(&blockchain, left);
    let block = made?;
    push_to(blockchain, block.clone())?;
    Ok(block)
}

/// As many transactions as fit into a block, in the shares that the real validator gives them:
/// those that only signal something cost nothing, and must not crowd out those that pay.
fn take_transactions(blockchain: &Blockchain, mempool: &Mempool) -> Vec<Transaction> {
    let available = MicroBlock::get_available_bytes(&[]);
    let (mut transactions, control) =
        mempool.get_control_transactions_for_block_locked(blockchain, available / 2);
    let (mut regular, _) =
        mempool.get_transactions_for_block_locked(blockchain, available.saturating_sub(control));
    transactions.append(&mut regular);
    transactions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_what_was_asked_for() {
        for millis in [50, 500, 1_000, 3_600_000] {
            let pace = BlockTime::from_millis(millis);
            assert_eq!(pace.period(), Duration::from_millis(millis));
            assert_eq!(pace == BlockTime::Standard, millis == 1_000);
        }
    }
}
