//! The light chain of a 2.3.0 node, made comparable with ours.

use std::{
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Once},
};

use nimiq_block::Block;
use nimiq_blockchain_interface::{AbstractBlockchain, ChainInfo, PushError, PushResult};
use nimiq_light_blockchain::{ChainStore, LightBlockchain};
use nimiq_primitives::policy::Policy;
use parking_lot::RwLock;
use pico_sync::{LightChain, chain::Route};

/// A [`LightBlockchain`] that can be copied.
#[derive(Clone)]
pub struct Upstream(Arc<RwLock<LightBlockchain>>);

impl Upstream {
    /// A chain with nothing but the genesis block.
    pub fn new() -> Self {
        let genesis = Block::Macro(super::genesis());
        Self(Arc::new(RwLock::new(LightBlockchain::with_genesis(
            super::params().network_id,
            genesis,
        ))))
    }

    /// A chain with the same state that goes its own way. ([`Clone`] gives another handle to the
    /// same chain.)
    pub fn copy(&self) -> Self {
        let from = self.0.read();
        let mut to = LightBlockchain::with_genesis(from.network_id, from.genesis_block.clone());
        to.head = from.head.clone();
        to.macro_head = from.macro_head.clone();
        to.election_head = from.election_head.clone();
        to.current_validators = from.current_validators.clone();
        to.chain_store = ChainStore::default();
        for info in stored(&from) {
            to.chain_store.put_chain_info(info);
        }
        drop(from);
        Self(Arc::new(RwLock::new(to)))
    }

    /// Pushes a block. `None` if that panics.
    pub fn push(&self, block: Block, route: Route) -> Option<Result<PushResult, PushError>> {
        without_panic(|| {
            let chain = self.0.upgradable_read();
            match route {
                Route::Live => LightBlockchain::push(chain, block),
                Route::Macro => LightBlockchain::push_macro(chain, block),
            }
        })
    }

    /// Holds that our chain has the same heads.
    pub fn assert_same_heads(&self, ours: &LightChain) {
        let theirs = self.0.read();
        assert_eq!(ours.head().hash(), theirs.head.hash(), "head");
        assert_eq!(
            ours.macro_head().hash(),
            theirs.macro_head.hash(),
            "macro head"
        );
        assert_eq!(
            ours.election_head().hash(),
            theirs.election_head.hash(),
            "election head"
        );
    }

    /// Holds that our chain has the same heads, down to their justifications, knows the same
    /// blocks, and has the same of them on its main chain.
    pub fn assert_same_state(&self, ours: &LightChain) {
        self.assert_same_heads(ours);
        let theirs = self.0.read();
        assert_eq!(ours.head(), &theirs.head);
        assert_eq!(ours.macro_head(), &theirs.macro_head);
        assert_eq!(ours.election_head(), &theirs.election_head);
        assert_eq!(
            Some(ours.validators().as_ref()),
            theirs.current_validators.as_ref()
        );

        let mut count = 0;
        for info in stored(&theirs) {
            let hash = info.head.hash();
            let same = ours.get_chain_info(&hash, false).unwrap();
            assert_eq!(same.head, info.head);
            assert_eq!(same.on_main_chain, info.on_main_chain, "{}", info.head);
            assert_eq!(
                same.main_chain_successor, info.main_chain_successor,
                "{}",
                info.head
            );
            assert_eq!(ours.contains(&hash, false), theirs.contains(&hash, false));
            let number = info.head.block_number();
            assert_eq!(
                ours.get_block_at(number, false),
                theirs.get_block_at(number, false)
            );
            count += 1;
        }
        assert_eq!(ours.stored_blocks(), count);

        // Who comes next, for some offsets.
        let next = theirs.head.block_number() + 1;
        for offset in [0, 1, next, u32::MAX] {
            let our_slot = ours.get_proposer_at(next, offset).unwrap();
            let their_slot = theirs.get_proposer_at(next, offset).unwrap();
            assert_eq!(our_slot.number, their_slot.number);
            assert_eq!(our_slot.band, their_slot.band);
            assert_eq!(our_slot.validator, their_slot.validator);
        }
    }
}

/// All blocks that the chain holds, forks included.
fn stored(chain: &LightBlockchain) -> Vec<ChainInfo> {
    // No fork is longer than what is left of the epoch.
    let numbers =
        Policy::genesis_block_number()..=chain.head.block_number() + Policy::blocks_per_epoch();
    numbers
        .flat_map(|number| {
            let hashes = chain.chain_store.get_block_hashes(&number);
            hashes.unwrap_or_default()
        })
        .map(|hash| {
            chain
                .chain_store
                .get_chain_info(hash, false)
                .unwrap()
                .clone()
        })
        .collect()
}

thread_local! {
    /// Whether a panic on this thread is expected, and not to be printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// The result of `f`, or `None` if it panics.
fn without_panic<T>(f: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                print(info);
            }
        }));
    });
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    QUIET.set(false);
    result.ok()
}
