//! Light macro sync: walks the election blocks from the trusted anchor (genesis or a pinned
//! election block) to the tip and then takes the checkpoint, with every validator signature
//! checked. It believes nobody, so it decides who is right when peers disagree, and it proves in
//! the background what pico macro sync has adopted.
//!
//! Block hashes do not cover signatures: a liar can put bad ones on a good block. So a bad
//! signature tells on the peer that delivered it, and the block is fetched from another one.
//!
//! Where peers have proofs of the election chain, these come first, see `proofs`: one takes the place
//! of all signatures up to the block that it proves. What a peer's answers come to is in `answers`.

mod answers;
mod proofs;

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use futures::{FutureExt, Stream, future::BoxFuture};
use nimiq_block::MacroBlock;
use nimiq_network_interface::network::{CloseReason, Network};

pub(crate) use self::proofs::Delivery;
use self::{
    answers::{Answer, ask_for_chain},
    proofs::Proofs,
};
use super::{
    Conflict, Context, MacroSync, MacroSyncReturn, Weight,
    queue::{MacroQueue, QueueState, Wanted},
};
use crate::{
    chain::{Inspected, LightChain, Proven, PushError},
    event::{SyncerKind, Trust},
    messages::ResponseHead,
    peer_tasks::PeerTasks,
    requests::PeerFault,
};

const OTHER_ELECTION: &str = "it names another election block than the verified one";

type Proving = BoxFuture<'static, Result<Proven, PushError>>;

/// Verified macro sync. See the module's documentation.
pub struct LightMacroSync<TNetwork: Network> {
    context: Context<TNetwork>,
    /// Peers that we are not done with, and how often each contradicted itself so far.
    peers: HashMap<TNetwork::PeerId, usize>,
    /// Peers that are asked for their proof or their chain at the moment.
    asking: PeerTasks<TNetwork::PeerId, Answer>,
    /// What good peers named as their heads.
    heads: HashMap<TNetwork::PeerId, ResponseHead>,
    queue: Box<MacroQueue<TNetwork>>,
    /// The front of the queue, while its signatures are checked.
    proving: Option<Proving>,
    proofs: Box<Proofs<TNetwork::PeerId>>,
    /// Peers that named another block than the queue holds.
    disputed: HashMap<TNetwork::PeerId, Wanted>,
    results: VecDeque<MacroSyncReturn<TNetwork::PeerId>>,
}

impl<TNetwork: Network> LightMacroSync<TNetwork> {
    pub(crate) fn new(context: Context<TNetwork>) -> Self {
        let queue = Box::new(MacroQueue::new(context.network.clone()));
        Self {
            context,
            peers: HashMap::new(),
            asking: PeerTasks::new(),
            heads: HashMap::new(),
            queue,
            proving: None,
            proofs: Box::new(Proofs::new()),
            disputed: HashMap::new(),
            results: VecDeque::new(),
        }
    }

    /// Like `add_peer`, but the peer is given some time before it is asked.
    pub(crate) fn add_peer_later(&mut self, peer: TNetwork::PeerId) {
        self.peers.entry(peer).or_insert(1);
        self.ask(peer);
    }

    /// Asks a peer for its proof, or what comes after our chain, or for the anchor if there is none
    /// yet. After a contradiction it is given some time first.
    fn ask(&mut self, peer: TNetwork::PeerId) {
        if self.context.chain.is_empty() {
            let anchor = self.context.chain.anchor();
            let anchor = Wanted {
                hash: anchor.hash,
                place: anchor.block_number,
            };
            // Everyone is asked for the same block, so this can't be in dispute.
            let _ = self.queue.merge(peer, [anchor]);
            return;
        }
        if self.ask_for_proof(peer) {
            return;
        }
        let in_doubt = self.peers.get(&peer).is_some_and(|doubts| *doubts > 0);
        let chain = ask_for_chain(self.context.clone(), peer, in_doubt);
        self.asking.start(peer, chain);
    }

    fn ask_everyone(&mut self) {
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.ask(peer);
        }
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
        self.proofs.signatures_had_their_turn();
        self.settle_disputes();
        self.oppose_front();
        if self.queue.is_empty() {
            self.ask_everyone();
        }
    }

    fn settle_disputes(&mut self) {
        let refuted: Vec<_> = self
            .disputed
            .iter()
            .filter(|(_, Wanted { hash, place })| {
                let contradicts = |chain: &LightChain| chain.contradicts(*place, hash);
                self.context.chain.read(contradicts) == Some(true)
            })
            .map(|(peer, _)| *peer)
            .collect();
        for peer in refuted {
            self.contradiction(peer, OTHER_ELECTION);
        }
    }

    /// What peers said that the queue does not hold counts once its place has come.
    fn oppose_front(&mut self) {
        let Some(place) = self.queue.front_wanted().map(|wanted| wanted.place) else {
            return;
        };
        for (peer, wanted) in &self.disputed {
            if wanted.place == place {
                self.queue.oppose(*peer, wanted.clone());
            }
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

    fn handle_signatures(&mut self, result: Result<Proven, PushError>) {
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
        self.proofs.remove_peer(peer);
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
        self.proofs.reset();
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
                this.handle_signatures(result);
                continue;
            }
            if this.advance_proofs(cx).is_ready() {
                continue;
            }
            if this.proofs.come_first() {
                return Poll::Pending;
            }
            match this.queue.state() {
                QueueState::Ready => this.verify_front(),
                QueueState::Waiting => return Poll::Pending,
                QueueState::Overruled(wanted, peers) => {
                    let disputed = peers.into_iter().map(|peer| (peer, wanted.clone()));
                    this.disputed.extend(disputed);
                }
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
