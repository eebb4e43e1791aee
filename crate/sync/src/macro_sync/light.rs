//! Light macro sync: walks the election blocks from the trusted anchor (genesis or a pinned
//! election block) to the tip and then takes the checkpoint, with every validator signature
//! checked. It believes nobody, so it decides who is right when peers disagree, and it proves in
//! the background what pico macro sync has adopted.
//!
//! Block hashes do not cover signatures: a liar can put bad ones on a good block. So a bad
//! signature tells on the peer that delivered it, and the block is fetched from another one.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use futures::{FutureExt, Stream, future::BoxFuture};
use nimiq_block::MacroBlock;
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::network::{CloseReason, Network};
use nimiq_primitives::policy::Policy;
use nimiq_time::sleep;

use super::{
    Conflict, Context, MacroSync, MacroSyncReturn, Weight,
    pico::{Verdict, unknown_to_peer},
    queue::{MacroQueue, QueueState},
};
use crate::{
    chain::{Inspected, Proven, PushError},
    event::{SyncerKind, Trust},
    limits,
    messages::{Checkpoint, MacroChain, ResponseHead},
    peer_tasks::PeerTasks,
    requests::{self, PeerFault},
};

const OTHER_ELECTION: &str = "it names another election block than the verified one";

/// A peer's answer: its head, and the macro chain after ours. The epoch is the one that our
/// election head ended when the question was asked.
struct Answer {
    epoch: u32,
    head: ResponseHead,
    chain: Named,
}

/// What a peer names after our chain.
enum Named {
    Chain(MacroChain),
    /// It knows none of our macro blocks, which is as much as to say this.
    Nothing(Verdict),
}

type Proving = BoxFuture<'static, Result<Proven, PushError>>;

/// Verified macro sync. See the module's documentation.
pub struct LightMacroSync<TNetwork: Network> {
    context: Context<TNetwork>,
    /// Peers that we are not done with, and how often each contradicted itself so far.
    peers: HashMap<TNetwork::PeerId, usize>,
    /// Peers that are asked for their chain at the moment.
    asking: PeerTasks<TNetwork::PeerId, Result<Answer, PeerFault>>,
    /// What good peers named as their heads.
    heads: HashMap<TNetwork::PeerId, ResponseHead>,
    queue: MacroQueue<TNetwork>,
    /// The front of the queue, while its signatures are checked.
    proving: Option<Proving>,
    /// Peers that named another election block than the queue holds, and at which number.
    disputed: HashMap<TNetwork::PeerId, (u32, Blake2bHash)>,
    results: VecDeque<MacroSyncReturn<TNetwork::PeerId>>,
}

impl<TNetwork: Network> LightMacroSync<TNetwork> {
    pub(crate) fn new(context: Context<TNetwork>) -> Self {
        let queue = MacroQueue::new(context.network.clone());
        Self {
            context,
            peers: HashMap::new(),
            asking: PeerTasks::new(),
            heads: HashMap::new(),
            queue,
            proving: None,
            disputed: HashMap::new(),
            results: VecDeque::new(),
        }
    }

    /// Like `add_peer`, but the peer is given some time before it is asked.
    pub(crate) fn add_peer_later(&mut self, peer: TNetwork::PeerId) {
        self.peers.entry(peer).or_insert(1);
        self.ask(peer);
    }

    /// Asks a peer what comes after our chain, or for the anchor if there is none yet. After a
    /// contradiction it is given some time first.
    fn ask(&mut self, peer: TNetwork::PeerId) {
        if self.context.chain.is_empty() {
            let anchor = self.context.chain.anchor().hash;
            // Everyone is asked for the same block, so this can't be in dispute.
            let _ = self.queue.merge(peer, [anchor]);
            return;
        }
        let in_doubt = self.peers.get(&peer).is_some_and(|doubts| *doubts > 0);
        let context = self.context.clone();
        self.asking.start(peer, async move {
            if in_doubt {
                sleep(limits::HEAD_RETRY_DELAY).await;
            }
            let (locators, epoch) = context
                .chain
                .read(|chain| {
                    (
                        chain.macro_locators(),
                        Policy::epoch_at(chain.election_head().block_number()),
                    )
                })
                .unwrap_or_default();
            let network = &*context.network;
            let chain = requests::macro_chain(network, peer, locators).await?;
            let head = requests::head(network, peer).await?;
            let chain = match chain {
                Some(chain) => Named::Chain(chain),
                None => Named::Nothing(unknown_to_peer(&context, peer, &head).await?),
            };
            Ok(Answer { epoch, head, chain })
        });
    }

    fn ask_everyone(&mut self) {
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.ask(peer);
        }
    }

    fn handle_answer(&mut self, peer: TNetwork::PeerId, result: Result<Answer, PeerFault>) {
        let Answer { epoch, head, chain } = match result {
            Ok(answer) => answer,
            Err(fault) => return self.handle_fault(peer, fault),
        };
        let MacroChain {
            mut epochs,
            checkpoint,
        } = match chain {
            Named::Chain(chain) => chain,
            Named::Nothing(verdict) => return self.handle_stranger(peer, head, verdict),
        };

        // Our chain may have grown since we asked.
        let Some((our_epoch, our_macro)) = self.context.chain.read(|chain| {
            (
                Policy::epoch_at(chain.election_head().block_number()),
                chain.macro_head().block_number(),
            )
        }) else {
            return self.ask(peer);
        };
        let passed = our_epoch.saturating_sub(epoch) as usize;
        for (i, hash) in epochs.iter().take(passed).enumerate() {
            let number = Policy::election_block_of(epoch + 1 + i as u32).unwrap_or(u32::MAX);
            if self
                .context
                .chain
                .read(|chain| chain.contradicts(number, hash))
                == Some(true)
            {
                return self.contradiction(peer, OTHER_ELECTION);
            }
        }
        let last_epoch = epoch.saturating_add(epochs.len() as u32);
        epochs.drain(..passed.min(epochs.len()));

        if let Some(checkpoint) = &checkpoint {
            let number = checkpoint.block_number;
            let plausible = Policy::is_macro_block_at(number)
                && !Policy::is_election_block_at(number)
                && Policy::epoch_at(number) == last_epoch.saturating_add(1);
            if !plausible {
                return self.breach(peer, "it names a checkpoint that can't be one");
            }
        }
        let newer = checkpoint
            .as_ref()
            .filter(|checkpoint| checkpoint.block_number > our_macro)
            .map(|checkpoint| checkpoint.hash.clone());
        if epochs.is_empty() && newer.is_none() {
            // It was cut short if it was in dispute.
            self.disputed.remove(&peer);
            return self.conclude(peer, head, checkpoint);
        }

        let elections = epochs.len();
        let hashes: Vec<_> = epochs.into_iter().chain(newer).collect();
        if let Err(place) = self.queue.merge(peer, hashes.clone()) {
            // Of a checkpoint in dispute nothing can be said: peers are at different ones. It is
            // asked again when the queue is done with.
            if place < elections
                && let Some(hash) = hashes.into_iter().nth(place)
            {
                let epoch = our_epoch.saturating_add(1 + place as u32);
                let number = Policy::election_block_of(epoch).unwrap_or(u32::MAX);
                self.disputed.insert(peer, (number, hash));
            }
        }
    }

    /// A peer knows none of our macro blocks.
    fn handle_stranger(&mut self, peer: TNetwork::PeerId, head: ResponseHead, verdict: Verdict) {
        match verdict {
            Verdict::Outdated(reason) => self.done(MacroSyncReturn::Outdated(peer, reason), &peer),
            Verdict::Conflicting(conflict) if conflict.weight == Weight::Contradiction => {
                self.done(MacroSyncReturn::Conflicting(peer, conflict), &peer);
            }
            Verdict::Fault(fault) => self.handle_fault(peer, fault),
            // Our chain has moved on meanwhile, or the peer contradicts itself.
            Verdict::Conflicting(_) | Verdict::Good => self.doubt(peer, &head),
        }
    }

    /// A peer has nothing newer than our chain: says whether it agrees, is behind, or what.
    fn conclude(
        &mut self,
        peer: TNetwork::PeerId,
        head: ResponseHead,
        checkpoint: Option<Checkpoint>,
    ) {
        let Some(ours) = self.context.chain.heads() else {
            return self.ask(peer);
        };
        if head.election_hash == ours.election_head.hash && head.macro_hash == ours.macro_head.hash
        {
            self.done(MacroSyncReturn::Good(peer), &peer);
            self.heads.insert(peer, head);
            return;
        }
        if let Some(checkpoint) = &checkpoint
            && checkpoint.block_number == ours.macro_head.number
            && checkpoint.hash != ours.macro_head.hash
        {
            return self.contradiction(peer, "it names another macro block than the verified one");
        }
        let behind = self.context.chain.read(|chain| {
            if head.election_hash != ours.election_head.hash {
                return chain.knows_election(&head.election_hash)
                    || chain.election_head().header.parent_election_hash == head.election_hash;
            }
            head.macro_hash == head.election_hash
                || chain.is_on_main_chain(&head.macro_hash)
                || checkpoint.is_some_and(|checkpoint| checkpoint.hash == head.macro_hash)
        });
        if behind == Some(true) {
            let result = MacroSyncReturn::Outdated(peer, "it is a batch or more behind".into());
            return self.done(result, &peer);
        }
        self.doubt(peer, &head);
    }

    /// A peer contradicts itself. Its head may have moved on between its answers, so it is asked
    /// again, but not for ever.
    fn doubt(&mut self, peer: TNetwork::PeerId, head: &ResponseHead) {
        let doubts = self.peers.entry(peer).or_default();
        *doubts += 1;
        if *doubts <= limits::HEAD_RETRIES {
            return self.ask(peer);
        }
        log::info!(
            "{peer} does not lead to its head, block {}",
            head.block_number
        );
        let reason = "its head is not on the macro chain that it names";
        self.conflict(peer, reason, Weight::Doubt);
    }

    fn handle_fault(&mut self, peer: TNetwork::PeerId, fault: PeerFault) {
        match fault {
            PeerFault::Failed(why) | PeerFault::Lacks(why) => {
                self.remove_peer(&peer);
                self.context.disconnect(peer, CloseReason::Error, &why);
            }
            PeerFault::Lied(why) => self.breach(peer, &why),
        }
    }

    /// A peer was asked for a block of the queue and did not deliver it.
    fn handle_undelivered(&mut self, peer: TNetwork::PeerId, fault: PeerFault) {
        if !self.peers.contains_key(&peer) {
            // It left, or was done with, while the block was on its way.
            return;
        }
        match fault {
            // It did not name the anchor: we did.
            PeerFault::Lacks(_) if self.context.chain.is_empty() => {
                let reason = "it does not have the trusted anchor yet";
                self.done(MacroSyncReturn::Outdated(peer, reason.into()), &peer);
            }
            fault => self.handle_fault(peer, fault),
        }
    }

    fn breach(&mut self, peer: TNetwork::PeerId, why: &str) {
        self.conflict(peer, why, Weight::Breach);
    }

    fn contradiction(&mut self, peer: TNetwork::PeerId, why: &str) {
        self.conflict(peer, why, Weight::Contradiction);
    }

    fn conflict(&mut self, peer: TNetwork::PeerId, why: &str, weight: Weight) {
        let conflict = Conflict {
            reason: why.to_owned().into(),
            evidence: None,
            weight,
        };
        self.done(MacroSyncReturn::Conflicting(peer, conflict), &peer);
    }

    fn done(&mut self, result: MacroSyncReturn<TNetwork::PeerId>, peer: &TNetwork::PeerId) {
        self.remove_peer(peer);
        self.results.push_back(result);
    }

    /// Takes the front block out of the queue into verification.
    fn verify_front(&mut self) {
        let Some((block, _)) = self.queue.front() else {
            return;
        };
        let block = block.clone();
        if self.context.chain.is_empty() {
            return self.start_at_anchor(block);
        }
        match self.context.chain.inspect_macro(block) {
            Ok(Inspected::Settled(_)) => self.after_commit(),
            Ok(Inspected::Proven(proven)) => self.commit(*proven),
            Ok(Inspected::Unproven(unproven)) => {
                let context = self.context.clone();
                let proving = async move { context.prove(*unproven).await };
                self.proving = Some(proving.boxed());
            }
            // The hash covers everything that was looked at, so all who named it are wrong.
            Err(error) => self.condemn_front(&error),
        }
    }

    fn start_at_anchor(&mut self, block: MacroBlock) {
        match self.context.chain.draft(block) {
            Ok(chain) => {
                self.context.chain.start(chain, Trust::Verified);
                self.after_commit();
            }
            // The hash is pinned, so this is the fault of whoever pinned it.
            Err(error) => {
                log::error!("the trusted anchor is no valid election block: {error}");
                self.queue.clear();
            }
        }
    }

    fn commit(&mut self, proven: Proven) {
        match self.context.chain.commit(proven) {
            Ok(_) => self.after_commit(),
            Err(error) => self.condemn_front(&error),
        }
    }

    fn after_commit(&mut self) {
        self.queue.pop();
        let refuted: Vec<_> = self
            .disputed
            .iter()
            .filter(|(_, (number, hash))| {
                self.context
                    .chain
                    .read(|chain| chain.contradicts(*number, hash))
                    == Some(true)
            })
            .map(|(peer, _)| *peer)
            .collect();
        for peer in refuted {
            self.contradiction(peer, OTHER_ELECTION);
        }
        if self.queue.is_empty() {
            self.ask_everyone();
        }
    }

    fn condemn_front(&mut self, error: &PushError) {
        let why = format!("it names an invalid macro block: {error}");
        let supporters = self.queue.front_supporters();
        self.queue.clear();
        for peer in supporters {
            self.contradiction(peer, &why);
        }
        self.ask_everyone();
    }

    fn handle_proof(&mut self, result: Result<Proven, PushError>) {
        match result {
            Ok(proven) => self.commit(proven),
            Err(error) => {
                // The queue may have been cleared by a peer that left.
                let Some(deliverer) = self.queue.front().map(|(_, deliverer)| *deliverer) else {
                    return self.ask_everyone();
                };
                self.queue.refetch_front();
                let why = format!("it delivered a macro block with a bad proof: {error}");
                self.contradiction(deliverer, &why);
                if self.queue.is_empty() {
                    self.ask_everyone();
                }
            }
        }
    }
}

impl<TNetwork: Network> MacroSync<TNetwork::PeerId> for LightMacroSync<TNetwork> {
    const KIND: SyncerKind = SyncerKind::Light;

    fn add_peer(&mut self, peer: TNetwork::PeerId) {
        if let Entry::Vacant(entry) = self.peers.entry(peer) {
            entry.insert(0);
            self.ask(peer);
        }
    }

    fn remove_peer(&mut self, peer: &TNetwork::PeerId) {
        self.peers.remove(peer);
        self.asking.cancel(peer);
        self.heads.remove(peer);
        self.disputed.remove(peer);
        self.results.retain(|result| result.peer() != peer);
        let was_busy = !self.queue.is_empty();
        self.queue.remove_peer(peer);
        if was_busy && self.queue.is_empty() {
            self.ask_everyone();
        }
    }

    fn head_of(&self, peer: &TNetwork::PeerId) -> Option<&ResponseHead> {
        self.heads.get(peer)
    }

    fn drain_peers(&mut self) -> Vec<TNetwork::PeerId> {
        self.queue.clear();
        self.proving = None;
        self.asking.clear();
        self.disputed.clear();
        self.results.clear();
        self.peers.drain().map(|(peer, _)| peer).collect()
    }
}

impl<TNetwork: Network> Stream for LightMacroSync<TNetwork> {
    type Item = MacroSyncReturn<TNetwork::PeerId>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(result) = this.results.pop_front() {
                return Poll::Ready(Some(result));
            }
            if let Poll::Ready((peer, answer)) = this.asking.poll_next(cx) {
                this.handle_answer(peer, answer);
                continue;
            }
            if let Poll::Ready((peer, fault)) = this.queue.poll_answers(cx) {
                this.handle_undelivered(peer, fault);
                continue;
            }
            if let Some(proving) = &mut this.proving {
                let Poll::Ready(result) = proving.poll_unpin(cx) else {
                    return Poll::Pending;
                };
                this.proving = None;
                this.handle_proof(result);
                continue;
            }
            match this.queue.state() {
                QueueState::Ready => this.verify_front(),
                QueueState::Waiting => return Poll::Pending,
                QueueState::Undeliverable(peers) => {
                    for peer in peers {
                        let why = "it does not deliver a macro block that it names";
                        this.handle_undelivered(peer, PeerFault::Lacks(why.into()));
                    }
                    this.ask_everyone();
                }
            }
        }
    }
}
