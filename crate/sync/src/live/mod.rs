//! Live sync: follows the chain block by block. Headers come by gossip; where one does not connect
//! to our head, the blocks between are asked for. Blocks are pushed one after the other, with
//! signatures checked off the thread where they are expensive, and never so many in a row that the
//! page would notice.
//!
//! It knows nothing of macro sync: it only tells when a peer is too far ahead to be followed, and
//! which peers sent what no honest peer sends.

mod buffer;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::Pin,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use futures::{Future, FutureExt, Stream, StreamExt, future::BoxFuture};
use nimiq_block::{Block, BlockError};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::network::{MsgAcceptance, Network, PubsubId};
use nimiq_primitives::policy::Policy;
use nimiq_time::{Sleep, sleep};
use nimiq_utils::stream::FuturesUnordered;
use web_time::Instant;

use self::buffer::{Buffer, Buffered, Refused};
use crate::{
    chain::{Inspected, LightChain, Proven, PushError, PushResult, Pushed},
    header, limits,
    macro_sync::Context,
    messages::BlockHeaderTopic,
    requests::{self, Missing, PeerFault},
};

/// What live sync has to say.
#[derive(Debug)]
pub(crate) enum LiveEvent<TPeerId> {
    /// A block was pushed. `announced` says that it came by gossip.
    Pushed {
        pushed: Pushed,
        announced: bool,
        timestamp: u64,
    },
    /// A peer has blocks that are too far ahead, or our blocks are unknown to it: macro sync
    /// should look at it.
    OutOfReach(TPeerId),
    /// A peer gave no usable answer.
    Fault(TPeerId, PeerFault),
}

/// Where a block came from.
#[derive(Clone, Debug)]
struct Source<TNetwork: Network> {
    peer: TNetwork::PeerId,
    /// Of the gossiped message, which is owed a verdict.
    message: Option<TNetwork::PubsubId>,
}

/// What there is to say of a request for the blocks up to a target.
type Asked<TPeerId> = (TPeerId, Blake2bHash, Answer);

/// See [`Asked`].
enum Answer {
    Given(Result<Missing, PeerFault>),
    /// It takes longer than most.
    Late,
}
type Proving = BoxFuture<'static, Result<Proven, PushError>>;

/// See the module's documentation.
pub(crate) struct LiveSync<TNetwork: Network> {
    context: Context<TNetwork>,
    peers: HashSet<TNetwork::PeerId>,
    buffer: Buffer<Source<TNetwork>>,
    push_queue: VecDeque<(Block, Source<TNetwork>)>,
    proving: Option<(Proving, Block, Source<TNetwork>)>,
    missing: FuturesUnordered<BoxFuture<'static, Asked<TNetwork::PeerId>>>,
    /// Targets that are asked for, and of whom. Not those that take long: they keep nobody waiting.
    targets: HashMap<Blake2bHash, TNetwork::PeerId>,
    /// Who is asked, once for each request that has not ended.
    busy: Vec<TNetwork::PeerId>,
    /// Targets that a peer failed to connect, so that it is not asked in circles.
    failed: HashMap<Blake2bHash, HashSet<TNetwork::PeerId>>,
    events: VecDeque<LiveEvent<TNetwork::PeerId>>,
    /// Since when the page has had no turn.
    busy_since: Option<Instant>,
    /// Set while the page has its turn.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<TNetwork: Network> LiveSync<TNetwork> {
    pub(crate) fn new(context: Context<TNetwork>) -> Self {
        Self {
            context,
            peers: HashSet::new(),
            buffer: Buffer::default(),
            push_queue: VecDeque::new(),
            proving: None,
            missing: FuturesUnordered::new(),
            targets: HashMap::new(),
            busy: Vec::new(),
            failed: HashMap::new(),
            events: VecDeque::new(),
            busy_since: None,
            pause: None,
        }
    }

    /// A peer that agrees with our macro state, and can be asked for blocks.
    pub(crate) fn add_peer(&mut self, peer: TNetwork::PeerId) {
        self.peers.insert(peer);
    }

    pub(crate) fn remove_peer(&mut self, peer: &TNetwork::PeerId) {
        self.peers.remove(peer);
    }

    /// Forgets everything that rests on the chain as it was, after a fallback.
    pub(crate) fn reset(&mut self) {
        for (_, source) in std::mem::take(&mut self.push_queue) {
            self.settle(&source, MsgAcceptance::Ignore);
        }
        for source in self.buffer.clear() {
            self.settle(&source, MsgAcceptance::Ignore);
        }
        if let Some((_, _, source)) = self.proving.take() {
            self.settle(&source, MsgAcceptance::Ignore);
        }
        self.peers.clear();
        self.missing = FuturesUnordered::new();
        self.targets.clear();
        self.busy.clear();
        self.failed.clear();
    }

    /// Whether more gossip can be taken in.
    pub(crate) fn has_room(&self) -> bool {
        self.push_queue.len() < limits::MAX_PUSH_QUEUE
    }

    /// Whether there is nothing to do but to wait for gossip.
    pub(crate) fn is_idle(&self) -> bool {
        self.push_queue.is_empty() && self.proving.is_none() && self.targets.is_empty()
    }

    /// Takes in a gossiped block.
    pub(crate) fn announce(&mut self, block: Block, message: TNetwork::PubsubId) {
        let source = Source {
            peer: message.propagation_source(),
            message: Some(message),
        };
        // Before anything else: everything else goes by its hash.
        if !header::is_hashable(block.validators().as_ref()) {
            return self.settle(&source, MsgAcceptance::Reject);
        }
        // Before there is a chain, and from a peer that macro sync is not done with, a header says
        // nothing yet.
        if self.context.chain.is_empty() {
            return self.settle(&source, MsgAcceptance::Ignore);
        }
        self.push_queue.push_back((block, source));
    }

    /// Asks for the blocks up to `target`, the head of `peer`, unless it failed to tell before.
    pub(crate) fn fetch(&mut self, target: Blake2bHash, peer: TNetwork::PeerId) {
        let asked = self.busy.iter().filter(|busy| **busy == peer).count();
        if self.targets.len() >= limits::MISSING_BLOCK_REQUESTS
            || asked >= limits::MISSING_BLOCK_REQUESTS_PER_PEER
            || self.has_failed(&target, &peer)
            || self.targets.contains_key(&target)
        {
            return;
        }
        self.targets.insert(target.clone(), peer);
        self.busy.push(peer);
        let locators = self
            .context
            .chain
            .read(|chain| chain.block_locators())
            .unwrap_or_default();
        let network = self.context.network.clone();
        let late = (peer, target.clone(), Answer::Late);
        let late = sleep(limits::MISSING_BLOCK_PATIENCE).map(move |()| late);
        self.missing.push(late.boxed());
        let request = async move {
            let result = requests::missing_blocks(&*network, peer, &target, locators).await;
            (peer, target, Answer::Given(result))
        };
        self.missing.push(request.boxed());
    }

    fn settle(&self, source: &Source<TNetwork>, acceptance: MsgAcceptance) {
        if let Some(message) = &source.message {
            self.context
                .network
                .validate_message::<BlockHeaderTopic>(message.clone(), acceptance);
        }
    }

    /// Pushes a block, or starts to check its signatures.
    fn process(&mut self, block: Block, source: Source<TNetwork>) {
        match self.context.chain.inspect(block.clone()) {
            Ok(Inspected::Settled(result)) => {
                let known = result == PushResult::Known;
                self.settle(
                    &source,
                    if known {
                        MsgAcceptance::Accept
                    } else {
                        MsgAcceptance::Ignore
                    },
                );
                self.after_push(&block);
            }
            Ok(Inspected::Proven(proven)) => self.commit(*proven, source),
            Ok(Inspected::Unproven(unproven)) => {
                let context = self.context.clone();
                let proving = async move { context.prove(*unproven).await };
                self.proving = Some((proving.boxed(), block, source));
            }
            Err(PushError::Orphan) => self.buffer_orphan(block, source),
            Err(error) => self.refuse(&block, &source, &error),
        }
    }

    fn commit(&mut self, proven: Proven, source: Source<TNetwork>) {
        let block = proven.block().clone();
        match self.context.chain.commit(proven) {
            Ok(pushed) => {
                self.settle(&source, MsgAcceptance::Accept);
                self.events.push_back(LiveEvent::Pushed {
                    pushed,
                    announced: source.message.is_some(),
                    timestamp: block.timestamp(),
                });
                self.after_push(&block);
            }
            Err(error) => self.refuse(&block, &source, &error),
        }
    }

    /// Brings up what waited for this block.
    fn after_push(&mut self, block: &Block) {
        for child in self.buffer.take_children(block) {
            self.push_queue.push_front((child.block, child.source));
        }
        if block.is_macro() {
            let number = block.block_number();
            for source in self.buffer.prune(number) {
                self.settle(&source, MsgAcceptance::Ignore);
            }
            self.failed.clear();
        }
    }

    fn buffer_orphan(&mut self, block: Block, source: Source<TNetwork>) {
        let Some(head) = self.context.chain.heads().map(|heads| heads.head.number) else {
            return self.settle(&source, MsgAcceptance::Ignore);
        };
        let window = limits::WINDOW_AHEAD_BATCHES * Policy::blocks_per_batch();
        if block.block_number() > head.saturating_add(window) {
            self.settle(&source, MsgAcceptance::Ignore);
            if self.peers.contains(&source.peer) {
                self.events.push_back(LiveEvent::OutOfReach(source.peer));
            }
            return;
        }
        // Only peers that agree with us are worth a request.
        if !self.peers.contains(&source.peer) {
            return self.settle(&source, MsgAcceptance::Ignore);
        }
        let (target, peer) = (block.parent_hash().clone(), source.peer);
        match self.buffer.insert(Buffered { block, source }) {
            Ok(()) => self.fetch_parent(target, peer),
            Err(Refused::Here(source)) => self.settle(&source, MsgAcceptance::Ignore),
            Err(Refused::NoRoom(source)) => {
                self.settle(&source, MsgAcceptance::Ignore);
                // Somebody may have filled it to keep us from what this peer knows.
                self.fetch(target, peer);
            }
        }
    }

    fn fetch_parent(&mut self, target: Blake2bHash, peer: TNetwork::PeerId) {
        let able = |peer: &TNetwork::PeerId| !self.has_failed(&target, peer);
        let choice = if self.peers.contains(&peer) && able(&peer) {
            Some(peer)
        } else {
            self.peers.iter().find(|peer| able(peer)).copied()
        };
        if let Some(peer) = choice {
            self.fetch(target, peer);
        }
    }

    fn has_failed(&self, target: &Blake2bHash, peer: &TNetwork::PeerId) -> bool {
        self.failed
            .get(target)
            .is_some_and(|peers| peers.contains(peer))
    }

    fn refuse(&mut self, block: &Block, source: &Source<TNetwork>, error: &PushError) {
        log::info!("refusing block {block} of {}: {error}", source.peer);
        // A block from the future may be the fault of our clock, and one that changed under our
        // feet is nobody's. All other checks fail for the sender's fault.
        let excused = match error {
            PushError::InvalidBlock(BlockError::InvalidTimestamp) => {
                let from_the_future = |chain: &LightChain| chain.is_from_the_future(block);
                self.context.chain.read(from_the_future) != Some(false)
            }
            PushError::Orphan | PushError::InvalidFork | PushError::InvalidSuccessor => true,
            _ => false,
        };
        self.settle(
            source,
            if excused {
                MsgAcceptance::Ignore
            } else {
                MsgAcceptance::Reject
            },
        );
        if !excused {
            let why = format!("it sent an invalid block: {error}");
            self.events
                .push_back(LiveEvent::Fault(source.peer, PeerFault::Lied(why)));
            self.drop_queued(source.peer);
        }
    }

    /// Drops the blocks of a liar that were not looked at yet.
    fn drop_queued(&mut self, peer: TNetwork::PeerId) {
        let (dropped, kept): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.push_queue)
            .into_iter()
            .partition(|(_, source)| source.peer == peer);
        self.push_queue = kept;
        for (_, source) in dropped {
            self.settle(&source, MsgAcceptance::Ignore);
        }
    }

    fn handle_missing(&mut self, (peer, target, answer): Asked<TNetwork::PeerId>) {
        let waited_for = self.targets.get(&target) == Some(&peer);
        if waited_for {
            self.targets.remove(&target);
        }
        let result = match answer {
            Answer::Given(result) => result,
            // What it says is welcome when it comes, but others are asked meanwhile.
            Answer::Late if waited_for => return self.note_failure(target, peer),
            Answer::Late => return,
        };
        if let Some(i) = self.busy.iter().position(|busy| *busy == peer) {
            self.busy.swap_remove(i);
        }
        if result.is_err() && !self.peers.contains(&peer) {
            // It left while it was asked. Should it be back, that is another connection.
            return;
        }
        match result {
            Ok(Missing::Blocks(blocks)) => {
                for block in blocks.into_iter().rev() {
                    self.push_queue.push_front((
                        block,
                        Source {
                            peer,
                            message: None,
                        },
                    ));
                }
            }
            Ok(Missing::UnknownLocators) => {
                self.note_failure(target, peer);
                self.events.push_back(LiveEvent::OutOfReach(peer));
            }
            Err(PeerFault::Lacks(why)) => {
                log::debug!("{peer} lacks block {target}: {why}");
                self.note_failure(target, peer);
            }
            Err(fault) => {
                self.note_failure(target, peer);
                self.events.push_back(LiveEvent::Fault(peer, fault));
            }
        }
    }

    fn note_failure(&mut self, target: Blake2bHash, peer: TNetwork::PeerId) {
        if self.failed.len() >= limits::MAX_BUFFERED_BLOCKS {
            self.failed.clear();
        }
        self.failed.entry(target).or_default().insert(peer);
    }

    /// Once everything is pushed that we have, asks for what the buffered blocks still lack.
    fn chase_buffered(&mut self) {
        if !self.targets.is_empty() || self.proving.is_some() {
            return;
        }
        // One for each peer: what can't be had of the one must not keep us from what can of another.
        for (parent, peer) in self.buffer.lowest_of_each(|source| source.peer) {
            let known = |chain: &LightChain| chain.block(&parent).is_some();
            if self.context.chain.read(known) == Some(true) {
                for child in self.buffer.take_children_of(&parent) {
                    self.push_queue.push_back((child.block, child.source));
                }
                return;
            }
            self.fetch_parent(parent, peer);
        }
    }

    /// Works until there is something to say, or nothing to do, or the page must have its turn.
    fn work(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<LiveEvent<TNetwork::PeerId>>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Some(event));
            }
            if let Some((proving, _, _)) = &mut self.proving {
                let Poll::Ready(result) = proving.poll_unpin(cx) else {
                    break;
                };
                if let Some((_, block, source)) = self.proving.take() {
                    match result {
                        Ok(proven) => self.commit(proven, source),
                        Err(error) => self.refuse(&block, &source, &error),
                    }
                }
                continue;
            }
            if !self.push_queue.is_empty() {
                let busy_since = *self.busy_since.get_or_insert_with(Instant::now);
                if busy_since.elapsed() > limits::TIME_SLICE {
                    self.busy_since = None;
                    let mut pause = Box::pin(sleep(Duration::ZERO));
                    if pause.as_mut().poll(cx).is_pending() {
                        self.pause = Some(pause);
                        return Poll::Pending;
                    }
                }
            }
            if let Some((block, source)) = self.push_queue.pop_front() {
                self.process(block, source);
                continue;
            }
            if let Poll::Ready(Some(result)) = self.missing.poll_next_unpin(cx) {
                self.handle_missing(result);
                continue;
            }
            let requests = self.targets.len();
            self.chase_buffered();
            if self.push_queue.is_empty() && self.targets.len() == requests {
                return Poll::Pending;
            }
        }
        // While signatures are checked, answers still come in.
        if let Poll::Ready(Some(result)) = self.missing.poll_next_unpin(cx) {
            self.handle_missing(result);
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<TNetwork: Network> Stream for LiveSync<TNetwork> {
    type Item = LiveEvent<TNetwork::PeerId>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(pause) = &mut this.pause {
            if pause.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.pause = None;
        }
        let polled = this.work(cx);
        if polled.is_pending() {
            this.busy_since = None;
        }
        polled
    }
}
