//! Light macro sync: walks the election blocks from the trusted anchor (genesis or a pinned
//! election block) to the tip and then takes the checkpoint, with every validator signature
//! checked. It believes nobody, so it decides who is right when peers disagree, and it proves in
//! the background what pico macro sync has adopted.
//!
//! Block hashes do not cover signatures: a liar can put bad ones on a good block. So a bad
//! signature tells on the peer that delivered it, and the block is fetched from another one.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use futures::{FutureExt, Stream, StreamExt, future::BoxFuture};
use nimiq_block::{Block, MacroBlock};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::network::{CloseReason, Network, NetworkEvent, SubscribeEvents};
use nimiq_primitives::policy::Policy;
use nimiq_utils::stream::FuturesUnordered;

use super::{
    Conflict, Context, MacroSync, MacroSyncReturn,
    pico::incompatible,
    prove,
    queue::{MacroQueue, QueueState},
};
use crate::{
    chain::{Inspected, Proven, PushError, Route},
    event::{SyncerKind, Trust},
    messages::{MacroChain, ResponseHead},
    requests::{self, PeerFault},
};

/// A peer's answer: its head, and the macro chain after ours. The epoch is the one that our
/// election head ended when the question was asked.
struct Answer {
    epoch: u32,
    head: ResponseHead,
    chain: Option<MacroChain>,
}

type Asked<TPeerId> = BoxFuture<'static, (TPeerId, Result<Answer, PeerFault>)>;
type Proving = BoxFuture<'static, Result<Proven, PushError>>;

/// Verified macro sync. See the module's documentation.
pub struct LightMacroSync<TNetwork: Network> {
    context: Context<TNetwork>,
    /// `None` where somebody else decides which peers take part.
    network_events: Option<SubscribeEvents<TNetwork::PeerId>>,
    /// Peers that we are not done with.
    peers: HashSet<TNetwork::PeerId>,
    /// Peers that are asked for their chain at the moment.
    asking: HashSet<TNetwork::PeerId>,
    answers: FuturesUnordered<Asked<TNetwork::PeerId>>,
    heads: HashMap<TNetwork::PeerId, ResponseHead>,
    queue: MacroQueue<TNetwork>,
    /// The front of the queue, while its signatures are checked.
    proving: Option<Proving>,
    /// Peers that named another block than the queue holds, and at which number.
    disputed: HashMap<TNetwork::PeerId, (u32, Blake2bHash)>,
    results: VecDeque<MacroSyncReturn<TNetwork::PeerId>>,
}

impl<TNetwork: Network> LightMacroSync<TNetwork> {
    /// A sync that every peer takes part in as it joins.
    pub(crate) fn new(context: Context<TNetwork>) -> Self {
        let events = context.network.subscribe_events();
        Self::with_events(context, Some(events))
    }

    /// A sync of the peers that it is given.
    pub(crate) fn of_chosen_peers(context: Context<TNetwork>) -> Self {
        Self::with_events(context, None)
    }

    fn with_events(
        context: Context<TNetwork>,
        network_events: Option<SubscribeEvents<TNetwork::PeerId>>,
    ) -> Self {
        let queue = MacroQueue::new(context.network.clone());
        Self {
            context,
            network_events,
            peers: HashSet::new(),
            asking: HashSet::new(),
            answers: FuturesUnordered::new(),
            heads: HashMap::new(),
            queue,
            proving: None,
            disputed: HashMap::new(),
            results: VecDeque::new(),
        }
    }

    /// Asks a peer what comes after our chain, or for the anchor if there is none yet.
    fn ask(&mut self, peer: TNetwork::PeerId) {
        if self.context.chain.is_empty() {
            let anchor = self.context.chain.anchor().hash.clone();
            // Everyone is asked for the same block, so this can't be in dispute.
            let _ = self.queue.merge(peer, [anchor]);
            return;
        }
        if !self.asking.insert(peer) {
            return;
        }
        let context = self.context.clone();
        let ask = async move {
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
            let answer = async {
                let chain = requests::macro_chain(network, peer, locators).await?;
                let head = requests::head(network, peer).await?;
                Ok(Answer { epoch, head, chain })
            };
            (peer, answer.await)
        };
        self.answers.push(ask.boxed());
    }

    fn ask_everyone(&mut self) {
        for peer in self.peers.iter().copied().collect::<Vec<_>>() {
            self.ask(peer);
        }
    }

    fn handle_answer(&mut self, peer: TNetwork::PeerId, result: Result<Answer, PeerFault>) {
        let Answer { epoch, head, chain } = match result {
            Ok(answer) => answer,
            Err(fault) => return self.handle_fault(peer, fault),
        };
        self.heads.insert(peer, head);
        let Some(MacroChain {
            mut epochs,
            checkpoint,
        }) = chain
        else {
            self.done(
                MacroSyncReturn::Outdated(peer, "it knows none of our macro blocks".into()),
                &peer,
            );
            return;
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
                return self.ban(
                    peer,
                    "it names another election block than the verified one",
                );
            }
        }
        let last_epoch = epoch.saturating_add(epochs.len() as u32);
        epochs.drain(..passed.min(epochs.len()));

        let checkpoint = match checkpoint {
            Some(checkpoint) => {
                let number = checkpoint.block_number;
                let plausible = Policy::is_macro_block_at(number)
                    && !Policy::is_election_block_at(number)
                    && Policy::epoch_at(number) == last_epoch.saturating_add(1);
                if !plausible {
                    return self.ban(peer, "it names a checkpoint that can't be one");
                }
                (number > our_macro).then_some(checkpoint.hash)
            }
            None => None,
        };
        if epochs.is_empty() && checkpoint.is_none() {
            // Nothing newer than our chain. It was cut short if it was in dispute.
            self.disputed.remove(&peer);
            self.done(MacroSyncReturn::Good(peer), &peer);
            return;
        }

        let hashes: Vec<_> = epochs.into_iter().chain(checkpoint).collect();
        if let Err(place) = self.queue.merge(peer, hashes.clone()) {
            let number =
                Policy::election_block_of(our_epoch + 1 + place as u32).unwrap_or(u32::MAX);
            if let Some(hash) = hashes.into_iter().nth(place) {
                self.disputed.insert(peer, (number, hash));
            }
        }
    }

    fn handle_fault(&mut self, peer: TNetwork::PeerId, fault: PeerFault) {
        match fault {
            PeerFault::Failed(why) | PeerFault::Lacks(why) => {
                self.remove_peer(&peer);
                self.context.disconnect(peer, CloseReason::Error, &why);
            }
            PeerFault::Lied(why) => self.ban(peer, &why),
        }
    }

    fn ban(&mut self, peer: TNetwork::PeerId, why: &str) {
        self.context
            .disconnect(peer, CloseReason::MaliciousPeer, why);
        let conflict = Conflict {
            reason: why.to_owned().into(),
            evidence: None,
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
        match self
            .context
            .chain
            .inspect(Block::Macro(block), Route::Macro)
        {
            Ok(Inspected::Settled(_)) => self.after_commit(),
            Ok(Inspected::Proven(proven)) => self.commit(*proven),
            Ok(Inspected::Unproven(unproven)) => {
                let context = self.context.clone();
                let proving =
                    async move { prove(*unproven, &*context.verifier, &context.chain).await };
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
            self.ban(
                peer,
                "it names another election block than the verified one",
            );
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
            self.ban(peer, &why);
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
                self.ban(
                    deliverer,
                    &format!("it delivered a macro block with a bad proof: {error}"),
                );
                if self.queue.is_empty() {
                    self.ask_everyone();
                }
            }
        }
    }

    fn poll_network_events(&mut self, cx: &mut TaskContext<'_>) {
        while let Some(events) = &mut self.network_events
            && let Poll::Ready(event) = events.poll_next_unpin(cx)
        {
            match event {
                Some(Ok(NetworkEvent::PeerJoined(peer, info))) => {
                    match incompatible(&*self.context.network, peer, info.get_services()) {
                        Some(incompatible) => self.results.push_back(incompatible),
                        None => self.add_peer(peer),
                    }
                }
                Some(Ok(NetworkEvent::PeerLeft(peer))) => self.remove_peer(&peer),
                Some(Ok(NetworkEvent::DhtReady)) => {}
                Some(Err(_)) => self.drop_disconnected(),
                None => self.network_events = None,
            }
        }
    }

    fn drop_disconnected(&mut self) {
        for peer in self.peers.iter().copied().collect::<Vec<_>>() {
            if !self.context.network.has_peer(peer) {
                self.remove_peer(&peer);
            }
        }
    }
}

impl<TNetwork: Network> MacroSync<TNetwork::PeerId> for LightMacroSync<TNetwork> {
    const KIND: SyncerKind = SyncerKind::Light;

    fn add_peer(&mut self, peer: TNetwork::PeerId) {
        if self.peers.insert(peer) {
            self.ask(peer);
        }
    }

    fn remove_peer(&mut self, peer: &TNetwork::PeerId) {
        self.peers.remove(peer);
        self.asking.remove(peer);
        self.disputed.remove(peer);
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
        self.peers.drain().collect()
    }
}

impl<TNetwork: Network> Stream for LightMacroSync<TNetwork> {
    type Item = MacroSyncReturn<TNetwork::PeerId>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.poll_network_events(cx);
        loop {
            if let Some(result) = this.results.pop_front() {
                return Poll::Ready(Some(result));
            }
            if let Poll::Ready(Some((peer, answer))) = this.answers.poll_next_unpin(cx) {
                // It may have left while it was asked.
                if this.asking.remove(&peer) {
                    this.handle_answer(peer, answer);
                }
                continue;
            }
            if let Poll::Ready((peer, fault)) = this.queue.poll_answers(cx) {
                this.handle_fault(peer, fault);
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
                        let why = "it does not deliver a macro block that it names".into();
                        this.handle_fault(peer, PeerFault::Failed(why));
                    }
                    this.ask_everyone();
                }
            }
        }
    }
}
