//! The ordered queue of macro blocks that light macro sync fetches: bounded in what is in flight,
//! in order of the chain, and failing over from peer to peer. It only fetches; what the blocks are
//! worth is decided by whoever takes them out.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use nimiq_block::MacroBlock;
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::network::Network;
use nimiq_utils::stream::FuturesUnordered;

use crate::{
    limits,
    requests::{self, PeerFault},
};

type Fetched<TPeerId> = (u64, TPeerId, Result<MacroBlock, PeerFault>);

/// One macro block that is wanted.
struct Entry<TPeerId> {
    hash: Blake2bHash,
    /// Peers that named it, so they must have it.
    supporters: Vec<TPeerId>,
    /// Those that were asked already.
    asked: HashSet<TPeerId>,
    /// The request that is under way, and whom it went to. Answers to any other are too late.
    in_flight: Option<(u64, TPeerId)>,
    block: Option<(MacroBlock, TPeerId)>,
}

/// How the front of the queue stands.
pub(super) enum QueueState<TPeerId> {
    /// The front block is there.
    Ready,
    /// It will come, or nothing is wanted.
    Waiting,
    /// Nobody who named the front block delivers it: these peers.
    Undeliverable(Vec<TPeerId>),
}

/// See the module's documentation.
pub(super) struct MacroQueue<TNetwork: Network> {
    network: Arc<TNetwork>,
    entries: VecDeque<Entry<TNetwork::PeerId>>,
    next_request: u64,
    requests: FuturesUnordered<BoxFuture<'static, Fetched<TNetwork::PeerId>>>,
}

impl<TNetwork: Network> MacroQueue<TNetwork> {
    pub(super) fn new(network: Arc<TNetwork>) -> Self {
        Self {
            network,
            entries: VecDeque::new(),
            next_request: 0,
            requests: FuturesUnordered::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds what a peer names, in order of the chain from the front of the queue on. Where another
    /// block is wanted already at the same place, that place is returned and the rest left out.
    pub(super) fn merge(
        &mut self,
        peer: TNetwork::PeerId,
        hashes: impl IntoIterator<Item = Blake2bHash>,
    ) -> Result<(), usize> {
        for (i, hash) in hashes.into_iter().enumerate() {
            match self.entries.get_mut(i) {
                Some(entry) if entry.hash == hash => {
                    if !entry.supporters.contains(&peer) {
                        entry.supporters.push(peer);
                    }
                }
                Some(_) => return Err(i),
                None => {
                    self.entries.push_back(Entry {
                        hash,
                        supporters: vec![peer],
                        asked: HashSet::new(),
                        in_flight: None,
                        block: None,
                    });
                }
            }
        }
        self.request_more();
        Ok(())
    }

    /// Forgets a peer; blocks that only it named are not wanted any more, nor what follows them.
    pub(super) fn remove_peer(&mut self, peer: &TNetwork::PeerId) {
        for entry in &mut self.entries {
            entry.supporters.retain(|supporter| supporter != peer);
            // Should it come back, it is another connection that may deliver.
            entry.asked.remove(peer);
            if entry.in_flight.is_some_and(|(_, asked)| asked == *peer) {
                entry.in_flight = None;
            }
        }
        let orphaned = self
            .entries
            .iter()
            .position(|entry| entry.supporters.is_empty() && entry.block.is_none());
        if let Some(first) = orphaned {
            self.entries.truncate(first);
        }
        self.request_more();
    }

    /// The front block and who delivered it, once it is there. It stays in the queue.
    pub(super) fn front(&self) -> Option<&(MacroBlock, TNetwork::PeerId)> {
        self.entries.front()?.block.as_ref()
    }

    /// The front block is done with.
    pub(super) fn pop(&mut self) {
        self.entries.pop_front();
        self.request_more();
    }

    /// The front block as it was delivered is no good: asks somebody else for it.
    pub(super) fn refetch_front(&mut self) {
        if let Some(entry) = self.entries.front_mut() {
            entry.block = None;
            self.request_more();
        }
    }

    /// Peers that named the front block.
    pub(super) fn front_supporters(&self) -> Vec<TNetwork::PeerId> {
        self.entries
            .front()
            .map(|entry| entry.supporters.clone())
            .unwrap_or_default()
    }

    /// Gives up everything that is wanted.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    fn request_more(&mut self) {
        for entry in self.entries.iter_mut().take(limits::MACRO_BLOCKS_IN_FLIGHT) {
            if entry.in_flight.is_some() || entry.block.is_some() {
                continue;
            }
            // Whoever has the least to do: spread by position, so that blocks come from several.
            let candidates: Vec<_> = entry
                .supporters
                .iter()
                .filter(|peer| !entry.asked.contains(*peer))
                .copied()
                .collect();
            let Some(peer) = candidates
                .get(self.requests.len() % candidates.len().max(1))
                .copied()
            else {
                continue;
            };
            entry.asked.insert(peer);
            let id = self.next_request;
            self.next_request = id.wrapping_add(1);
            entry.in_flight = Some((id, peer));
            let (network, hash) = (self.network.clone(), entry.hash.clone());
            let request = async move {
                let result = requests::macro_block(&*network, peer, &hash).await;
                (id, peer, result)
            };
            self.requests.push(request.boxed());
        }
    }

    /// Whether the front block is there, will come, or is not to be had. In the last case the
    /// queue is cleared and the peers that named the block are returned.
    pub(super) fn state(&mut self) -> QueueState<TNetwork::PeerId> {
        let Some(front) = self.entries.front() else {
            return QueueState::Waiting;
        };
        if front.block.is_some() {
            return QueueState::Ready;
        }
        let exhausted = front.in_flight.is_none()
            && front
                .supporters
                .iter()
                .all(|peer| front.asked.contains(peer));
        if !exhausted {
            return QueueState::Waiting;
        }
        let peers = front.supporters.clone();
        self.clear();
        QueueState::Undeliverable(peers)
    }

    /// Takes in answers. Ready with a peer that gave no usable one.
    pub(super) fn poll_answers(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<(TNetwork::PeerId, PeerFault)> {
        while let Poll::Ready(Some((id, peer, result))) = self.requests.poll_next_unpin(cx) {
            let Some(entry) = self
                .entries
                .iter_mut()
                .find(|entry| entry.in_flight.is_some_and(|(current, _)| current == id))
            else {
                continue;
            };
            entry.in_flight = None;
            let fault = match result {
                Ok(block) => {
                    entry.block = Some((block, peer));
                    None
                }
                Err(fault) => Some(fault),
            };
            self.request_more();
            if let Some(fault) = fault {
                return Poll::Ready((peer, fault));
            }
        }
        Poll::Pending
    }
}
