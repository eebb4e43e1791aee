//! What the live peers say their heads are, and whether we hold those blocks: the measure of
//! agreement that consensus rests on.

use std::collections::HashMap;
use std::hash::Hash;

use nimiq_hash::Blake2bHash;

use crate::{messages::ResponseHead, shared::SharedChain};

/// The head that a peer named.
#[derive(Debug)]
struct Named {
    number: u32,
    hash: Blake2bHash,
    /// Once we held the block, that stays so, although it is pruned after a while.
    known: bool,
}

/// The last head that each live peer named.
#[derive(Debug)]
pub(super) struct Heads<TPeerId> {
    by_peer: HashMap<TPeerId, Named>,
}

impl<TPeerId: Copy + Eq + Hash> Heads<TPeerId> {
    pub(super) fn new() -> Self {
        Self {
            by_peer: HashMap::new(),
        }
    }

    pub(super) fn insert(&mut self, peer: TPeerId, head: &ResponseHead) {
        let named = Named {
            number: head.block_number,
            hash: head.block_hash.clone(),
            known: false,
        };
        self.by_peer.insert(peer, named);
    }

    pub(super) fn remove(&mut self, peer: &TPeerId) {
        self.by_peer.remove(peer);
    }

    pub(super) fn clear(&mut self) {
        self.by_peer.clear();
    }

    /// Looks up the heads on the chain, and forgets those that can't get there any more.
    fn look_up(&mut self, chain: &SharedChain) {
        let _ = chain.read(|chain| {
            let finalised = chain.macro_head().block_number();
            self.by_peer.retain(|_, named| {
                named.known = named.known || chain.block(&named.hash).is_some();
                named.known || named.number > finalised
            });
        });
    }

    /// How many of the heads we hold, and how many we don't.
    pub(super) fn known_and_unknown(&mut self, chain: &SharedChain) -> (usize, usize) {
        self.look_up(chain);
        let known = self.by_peer.values().filter(|named| named.known).count();
        (known, self.by_peer.len() - known)
    }

    /// Heads that we do not hold, with the peers that named them.
    pub(super) fn unknown(&mut self, chain: &SharedChain) -> Vec<(TPeerId, Blake2bHash)> {
        self.look_up(chain);
        self.by_peer
            .iter()
            .filter(|(_, named)| !named.known)
            .map(|(peer, named)| (*peer, named.hash.clone()))
            .collect()
    }
}
