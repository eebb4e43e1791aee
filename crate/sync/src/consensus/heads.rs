//! What the live peers say their heads are, and whether we hold those blocks: the measure of
//! agreement that consensus rests on.

use std::collections::HashMap;
use std::hash::Hash;

use nimiq_hash::Blake2bHash;

use crate::{messages::ResponseHead, shared::SharedChain};

/// The last head that each live peer named.
#[derive(Debug)]
pub(super) struct Heads<TPeerId> {
    by_peer: HashMap<TPeerId, (u32, Blake2bHash)>,
}

impl<TPeerId: Copy + Eq + Hash> Heads<TPeerId> {
    pub(super) fn new() -> Self {
        Self {
            by_peer: HashMap::new(),
        }
    }

    pub(super) fn insert(&mut self, peer: TPeerId, head: &ResponseHead) {
        self.by_peer
            .insert(peer, (head.block_number, head.block_hash.clone()));
    }

    pub(super) fn remove(&mut self, peer: &TPeerId) {
        self.by_peer.remove(peer);
    }

    pub(super) fn clear(&mut self) {
        self.by_peer.clear();
    }

    /// How many of the heads are on our chain, and how many are not.
    pub(super) fn known_and_unknown(&self, chain: &SharedChain) -> (usize, usize) {
        let known = chain
            .read(|chain| {
                self.by_peer
                    .values()
                    .filter(|(_, hash)| chain.block(hash).is_some())
                    .count()
            })
            .unwrap_or(0);
        (known, self.by_peer.len() - known)
    }

    /// Heads that we do not hold, with the peers that named them.
    pub(super) fn unknown(&self, chain: &SharedChain) -> Vec<(TPeerId, Blake2bHash)> {
        self.by_peer
            .iter()
            .filter(|(_, (_, hash))| chain.read(|chain| chain.block(hash).is_none()) == Some(true))
            .map(|(peer, (_, hash))| (*peer, hash.clone()))
            .collect()
    }
}
