//! The ordered queue of macro blocks that light macro sync fetches: bounded in what is in flight,
//! in order of the chain, and failing over from peer to peer. It only fetches; what the blocks are
//! worth is decided by whoever takes them out.
//!
//! Naming a block costs a liar nothing, and so does being slow with it. So whoever takes long is asked
//! no more than others are, another peer is asked as well, and where other peers name another block at
//! the front of the queue, that one is fetched, too.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use nimiq_block::MacroBlock;
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::network::Network;
use nimiq_time::sleep;
use nimiq_utils::stream::FuturesUnordered;

use crate::{
    limits,
    requests::{self, PeerFault},
};

/// What there is to say of a request.
enum Fetched<TPeerId> {
    /// It was answered, or was not.
    Answer(u64, TPeerId, Box<Result<MacroBlock, PeerFault>>),
    /// It takes longer than most.
    Late(u64),
}

/// A block and its place in the chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wanted {
    pub(super) hash: Blake2bHash,
    /// Number of the election block that it is said to be. A checkpoint block has that of the election
    /// block before it and one: wherever in its epoch it is, it follows that one.
    pub(super) place: u32,
}

/// One macro block that is wanted.
struct Entry<TPeerId> {
    wanted: Wanted,
    /// Peers that named it, so they must have it.
    supporters: Vec<TPeerId>,
    /// Those that were asked already.
    asked: HashSet<TPeerId>,
    /// The requests that are under way, and whom they went to. Answers to any other are too late.
    in_flight: Vec<(u64, TPeerId)>,
    /// Whether the one that was made last takes longer than most.
    late: bool,
    block: Option<(MacroBlock, TPeerId)>,
}

impl<TPeerId: Copy + Eq> Entry<TPeerId> {
    fn new(wanted: Wanted, supporter: TPeerId) -> Self {
        Self {
            wanted,
            supporters: vec![supporter],
            asked: HashSet::new(),
            in_flight: Vec::new(),
            late: false,
            block: None,
        }
    }

    fn support(&mut self, peer: TPeerId) {
        if !self.supporters.contains(&peer) {
            self.supporters.push(peer);
        }
    }

    /// Whether somebody is to be asked for it now.
    fn is_open(&self) -> bool {
        self.block.is_none() && (self.in_flight.is_empty() || self.late)
    }
}

/// How the front of the queue stands.
pub(super) enum QueueState<TPeerId> {
    /// The front block is there.
    Ready,
    /// It will come, or nothing is wanted.
    Waiting,
    /// It did not come, but the one that others named in its place did, and is in front now. What was
    /// wanted before, and by whom.
    Overruled(Wanted, Vec<TPeerId>),
    /// Nobody who named the front block delivers it: these peers.
    Undeliverable(Vec<TPeerId>),
}

/// See the module's documentation.
pub(super) struct MacroQueue<TNetwork: Network> {
    network: Arc<TNetwork>,
    entries: VecDeque<Entry<TNetwork::PeerId>>,
    /// What others name in place of the front.
    rivals: Vec<Entry<TNetwork::PeerId>>,
    next_request: u64,
    requests: FuturesUnordered<BoxFuture<'static, Fetched<TNetwork::PeerId>>>,
    /// Whom the requests went to that have not ended, wanted or not.
    open: HashMap<u64, TNetwork::PeerId>,
    /// Those of them whose block another peer has delivered.
    overtaken: HashSet<u64>,
}

impl<TNetwork: Network> MacroQueue<TNetwork> {
    pub(super) fn new(network: Arc<TNetwork>) -> Self {
        Self {
            network,
            entries: VecDeque::new(),
            rivals: Vec::new(),
            next_request: 0,
            requests: FuturesUnordered::new(),
            open: HashMap::new(),
            overtaken: HashSet::new(),
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
        blocks: impl IntoIterator<Item = Wanted>,
    ) -> Result<(), usize> {
        for (i, wanted) in blocks.into_iter().enumerate() {
            match self.entries.get_mut(i) {
                Some(entry) if entry.wanted.hash == wanted.hash => entry.support(peer),
                Some(_) => return Err(i),
                None => self.entries.push_back(Entry::new(wanted, peer)),
            }
        }
        self.request_more();
        Ok(())
    }

    /// A peer names another block than the front is, in its place. It is fetched if the front is late.
    pub(super) fn oppose(&mut self, peer: TNetwork::PeerId, wanted: Wanted) {
        let mut rivals = self.rivals.iter_mut();
        match rivals.find(|rival| rival.wanted.hash == wanted.hash) {
            Some(rival) => rival.support(peer),
            None => self.rivals.push(Entry::new(wanted, peer)),
        }
        self.request_more();
    }

    /// What is wanted first.
    pub(super) fn front_wanted(&self) -> Option<&Wanted> {
        self.entries.front().map(|entry| &entry.wanted)
    }

    /// Forgets a peer; blocks that only it named are not wanted any more, nor what follows them.
    pub(super) fn remove_peer(&mut self, peer: &TNetwork::PeerId) {
        for entry in self.entries.iter_mut().chain(&mut self.rivals) {
            entry.supporters.retain(|supporter| supporter != peer);
            // Should it come back, it is another connection that may deliver.
            entry.asked.remove(peer);
            entry.in_flight.retain(|(_, asked)| asked != peer);
        }
        self.open.retain(|_, asked| asked != peer);
        self.rivals.retain(|rival| !rival.supporters.is_empty());
        let orphaned = self
            .entries
            .iter()
            .position(|entry| entry.supporters.is_empty() && entry.block.is_none());
        if let Some(first) = orphaned {
            self.entries.truncate(first);
        }
        if self.entries.is_empty() {
            self.rivals.clear();
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
        self.rivals.clear();
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
        self.rivals.clear();
    }

    fn request_more(&mut self) {
        let Self {
            network,
            entries,
            rivals,
            next_request,
            requests,
            open,
            ..
        } = self;
        let contested = entries.front().is_some_and(|front| front.late);
        let rivals = rivals.iter_mut().filter(|_| contested);
        let first = entries.iter_mut().take(limits::MACRO_BLOCKS_IN_FLIGHT);
        for entry in first.chain(rivals).filter(|entry| entry.is_open()) {
            let asked = |peer: &TNetwork::PeerId| open.values().filter(|of| *of == peer).count();
            let id = *next_request;
            // Whoever has the least to do; among equals another one each time, so that blocks come from
            // several.
            let turn = id as usize % entry.supporters.len().max(1);
            let (later, sooner) = entry.supporters.split_at(turn);
            let candidates = sooner.iter().chain(later);
            let candidates = candidates.filter(|peer| !entry.asked.contains(*peer));
            let Some(peer) = candidates.min_by_key(|peer| asked(peer)).copied() else {
                continue;
            };
            *next_request = id.wrapping_add(1);
            open.insert(id, peer);
            entry.asked.insert(peer);
            entry.in_flight.push((id, peer));
            entry.late = false;
            let (network, hash) = (network.clone(), entry.wanted.hash.clone());
            let request = async move {
                let result = requests::macro_block(&*network, peer, &hash).await;
                Fetched::Answer(id, peer, Box::new(result))
            };
            requests.push(request.boxed());
            let late = sleep(limits::MACRO_BLOCK_PATIENCE).map(move |()| Fetched::Late(id));
            requests.push(late.boxed());
        }
    }

    /// Whether the front block is there, will come, or is not to be had. In the last case the
    /// queue is cleared and the peers that named the block are returned.
    pub(super) fn state(&mut self) -> QueueState<TNetwork::PeerId> {
        let Some(front) = self.entries.front_mut() else {
            return QueueState::Waiting;
        };
        if front.block.is_some() {
            return QueueState::Ready;
        }
        if let Some(rival) = self.rivals.iter_mut().find(|rival| rival.block.is_some()) {
            std::mem::swap(front, rival);
            let (wanted, peers) = (rival.wanted.clone(), rival.supporters.clone());
            // What follows was named by those who were wrong, or too slow.
            self.entries.truncate(1);
            return QueueState::Overruled(wanted, peers);
        }
        let exhausted = front.in_flight.is_empty()
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

    /// The block that a request is for, if it is still wanted.
    fn entry_of(&mut self, id: u64) -> Option<&mut Entry<TNetwork::PeerId>> {
        let mut entries = self.entries.iter_mut().chain(&mut self.rivals);
        entries.find(|entry| entry.in_flight.iter().any(|(current, _)| *current == id))
    }

    /// Takes in answers. Ready with a peer that gave no usable one.
    pub(super) fn poll_answers(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<(TNetwork::PeerId, PeerFault)> {
        while let Poll::Ready(Some(fetched)) = self.requests.poll_next_unpin(cx) {
            let (id, peer, result) = match fetched {
                Fetched::Answer(id, peer, result) => (id, peer, *result),
                Fetched::Late(id) => {
                    if let Some(entry) = self.entry_of(id) {
                        entry.late = entry.block.is_none();
                        self.request_more();
                    }
                    continue;
                }
            };
            let overtaken = self.overtaken.remove(&id);
            if self.open.remove(&id).is_none() {
                continue;
            }
            if overtaken {
                match result {
                    Ok(_) => continue,
                    Err(fault) => return Poll::Ready((peer, fault)),
                }
            }
            let Some(entry) = self.entry_of(id) else {
                continue;
            };
            let fault = match result {
                Ok(block) => {
                    let asked = std::mem::take(&mut entry.in_flight);
                    entry.block = Some((block, peer));
                    let others = asked.into_iter().map(|(other, _)| other);
                    self.overtaken.extend(others.filter(|other| *other != id));
                    None
                }
                Err(fault) => {
                    entry.in_flight.retain(|(current, _)| *current != id);
                    Some(fault)
                }
            };
            self.request_more();
            if let Some(fault) = fault {
                return Poll::Ready((peer, fault));
            }
        }
        Poll::Pending
    }
}
